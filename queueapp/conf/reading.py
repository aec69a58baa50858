"""Reads all settings from an environment, and describes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, cast

from queueapp.conf.setting import for_people
from queueapp.conf.settings import Conf
from queueapp.conf.values import WrongSetting


def load(environ: Mapping[str, str]) -> Conf:
    """Read all settings. Raises WrongSetting at the first value that is not allowed."""
    values: dict[str, Any] = {}
    for each in fields(Conf):
        name, parse = each.metadata["name"], each.metadata["parse"]
        text = environ.get(name, "") or each.metadata["default"]
        try:
            values[each.name] = parse(text)
        except ValueError as error:
            raise WrongSetting(name, for_people(name, text), str(error)) from None
    _refuse_unknown(environ)
    return Conf(**values)


def _refuse_unknown(environ: Mapping[str, str]) -> None:
    """A misspelt setting would be ignored in silence, and its owner would never know."""
    known = {each.metadata["name"] for each in fields(Conf)}
    for name in environ:
        if name.startswith("MAILWEIR_") and not name.startswith("MAILWEIR_TEST_") and name not in known:
            # Without the value: it may be a password under a misspelt name.
            raise WrongSetting(name, "…", "there is no such setting; docs/settings.md lists them")


def described() -> list[dict[str, str]]:
    """Name, default, unit and reason of each setting, for documents and `doctor`."""
    keys = ("name", "default", "unit", "reason")
    return [{key: cast(str, each.metadata[key]) for key in keys} for each in fields(Conf)]
