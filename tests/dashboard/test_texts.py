from __future__ import annotations

import pytest

from dashboard.templatetags.texts import coded


def test_it_shows_backticks_as_code() -> None:
    assert coded("send `a` and `b c`") == "send <code>a</code> and <code>b c</code>"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<script>`</script>`", "&lt;script&gt;<code>&lt;/script&gt;</code>"),
        ("`", "`"),
        ("`a\nb`", "`a\nb`"),
        ("", ""),
    ],
)
def test_it_escapes_first_and_leaves_what_is_no_code(text: str, shown: str) -> None:
    assert coded(text) == shown
