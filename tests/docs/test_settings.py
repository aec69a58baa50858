"""docs/settings.md is what queueapp/conf says: no setting missing, none made up, examples that are taken."""

from __future__ import annotations

import pytest

from queueapp import conf
from tests.docs.pages import page, plain

ROWS = {row[0]: row for row in page("docs/settings.md").rows("Setting")}
SETTINGS = pytest.mark.parametrize("setting", conf.described(), ids=lambda each: each["name"])


@SETTINGS
def test_it_is_described_as_it_is(setting: dict[str, str]) -> None:
    assert setting["name"] in ROWS, f"docs/settings.md lacks {setting['name']}"
    _, default, unit, reason, _ = ROWS[setting["name"]]
    assert (default, unit, reason) == (
        setting["default"] or "empty",
        setting["unit"],
        plain(setting["reason"]),
    )


@SETTINGS
def test_its_example_is_allowed(setting: dict[str, str]) -> None:
    example = ROWS[setting["name"]][-1]
    assert example, "every setting has an example"
    conf.load({setting["name"]: example})


def test_no_setting_is_made_up() -> None:
    assert set(ROWS) <= {setting["name"] for setting in conf.described()}
