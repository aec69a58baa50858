"""What may stand in a rule, and what goes together: each mistake names its field and its value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from queueapp.access.change import Wrong
from queueapp.conf import rate_or_none
from queueapp.engine.rules import wording
from queueapp.engine.rules.wording import WrongWording
from queueapp.mail.classes import CLASSES
from queueapp.models import (
    HOLDS,
    SCOPES_OF,
    BackoffRule,
    RuleAction,
    RuleCondition,
    RuleScope,
)

_LONGEST = timedelta(days=30)
_LONGEST_COUNT = timedelta(days=1)
_MOST_LIST = 20
_NOT_SLOWED = {
    RuleScope.PAIR: ("A source at a site", "suspend or other_source on the pair"),
    RuleScope.SENDER: ("A sender", "stop_sender on the sender"),
    RuleScope.LOGIN: ("A login", "stop_sender on the login; its allowance is so many mails an hour"),
    RuleScope.CAMPAIGN: ("A campaign", "hold_campaign on the campaign"),
}
"""Whom a rate can't be given, and what does instead (docs/decisions/0052)."""
_FLOOD_SCOPES = (RuleScope.LOGIN, RuleScope.SENDER)


def checked(row: BackoffRule, values: Mapping[str, Any]) -> BackoffRule:
    """The row with these values, where all of it makes sense together. Raises Wrong."""
    for field, value in values.items():
        if field not in _READ:
            raise Wrong(field[:40], f"There is no field {field[:40]!r}; there are {', '.join(_READ)}.")
        setattr(row, field, _READ[field](field, value))
    _together(row)
    return row


def _together(row: BackoffRule) -> None:
    if not row.name:
        raise Wrong("name", "A rule needs a name of 1 to 100 printable characters.")
    if row.action == RuleAction.SLOW and row.scope in _NOT_SLOWED:
        whom, instead = _NOT_SLOWED[RuleScope(row.scope)]
        raise Wrong(
            "scope",
            f"{whom} can't be slowed down: a rate holds where the receiver counts, for a site or a domain. "
            f"Use slow on the site, or {instead}.",
        )
    if row.scope not in SCOPES_OF.get(row.action, ()):
        able = "; ".join(f"{action} on {' or '.join(scopes)}" for action, scopes in SCOPES_OF.items())
        asked = f"{row.action or 'no action'} on {row.scope or 'nobody'}"
        raise Wrong("scope", f"{asked} can't be. There is: {able}.")
    if row.condition == RuleCondition.REPLY and not (row.classes or row.texts or row.codes or row.lines):
        raise Wrong("texts", "Without a class, a text or a code the rule would answer every refusal.")
    if row.condition == RuleCondition.FLOOD and row.scope not in _FLOOD_SCOPES:
        raise Wrong("scope", "A flood is of a login or a sender.")
    if row.condition == RuleCondition.LISTING and row.scope != RuleScope.PAIR:
        raise Wrong("scope", "A listing is of one of our sources: the scope is pair.")
    if row.lasts is None and row.action not in HOLDS:
        raise Wrong("lasts", f"{row.action} needs an end: how long does it last?")
    if row.action == RuleAction.SLOW and not row.rate:
        raise Wrong("rate", "Slower needs a rate such as 60/m; with a share it is the least.")
    if row.lasts is not None and row.cap < row.lasts:
        row.cap = row.lasts


# Values


def _name(field: str, value: Any) -> str:
    text = " ".join(value.split()) if isinstance(value, str) else ""
    if not text or len(text) > 100 or not text.isprintable():
        raise Wrong(field, f"{field} {text[:40]!r} is not 1 to 100 printable characters")
    return text


def _about(field: str, value: Any) -> str:
    text = " ".join(str(value or "").split())
    if len(text) > 500 or not text.isprintable():
        raise Wrong(field, f"{field} is not at most 500 printable characters")
    return text


def _whole(low: int, high: int, *, or_none: bool = False) -> Callable[[str, Any], int | None]:
    def read(field: str, value: Any) -> int | None:
        if value is None and or_none:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise Wrong(field, f"{field} {str(value)[:40]!r} is not a whole number from {low:,} to {high:,}")
        return value

    return read


def _number(low: float, high: float) -> Callable[[str, Any], float]:
    def read(field: str, value: Any) -> float:
        if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
            raise Wrong(field, f"{field} {str(value)[:40]!r} is not a number from {low:g} to {high:g}")
        return float(value)

    return read


def _span(longest: timedelta, *, or_none: bool = False) -> Callable[[str, Any], timedelta | None]:
    def read(field: str, value: Any) -> timedelta | None:
        if value is None and or_none:
            return None
        most = longest.total_seconds()
        if not isinstance(value, int | float) or isinstance(value, bool) or not 1 <= value <= most:
            raise Wrong(field, f"{field} {str(value)[:40]!r} is not from 1 to {most:,.0f} seconds")
        return timedelta(seconds=value)

    return read


def _truth(field: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise Wrong(field, f"{field} {str(value)[:40]!r} is neither true nor false")
    return value


def _one_of(allowed: list[str]) -> Callable[[str, Any], str]:
    def read(field: str, value: Any) -> str:
        if value not in allowed:
            raise Wrong(field, f"{field} {str(value)[:40]!r} is not one of {', '.join(allowed)}")
        return str(value)

    return read


def _list(read_one: Callable[[str, str], str]) -> Callable[[str, Any], list[str]]:
    def read(field: str, value: Any) -> list[str]:
        if not isinstance(value, list | tuple) or len(value) > _MOST_LIST:
            raise Wrong(field, f"{field} is not a list of at most {_MOST_LIST}")
        return list(dict.fromkeys(read_one(field, str(each)) for each in value))

    return read


def _text(field: str, value: str) -> str:
    try:
        wording.phrase(value)
    except WrongWording as error:
        raise Wrong(field, str(error)) from None
    return " ".join(value.lower().split())


def _code(field: str, value: str) -> str:
    try:
        return wording.code(value)
    except WrongWording as error:
        raise Wrong(field, str(error)) from None


def _plain(field: str, value: str) -> str:
    text = value.strip().lower()
    if not text or len(text) > 255 or not text.isprintable() or " " in text:
        raise Wrong(field, f"{field}: {value[:40]!r} is not one word of printable characters")
    return text


def _rate(field: str, value: Any) -> str:
    text = str(value or "").strip()
    try:
        return str(rate_or_none(text) or "") if text != "none" else ""
    except ValueError as error:
        raise Wrong(field, f"rate {text[:40]!r} is not {error}") from None


_READ: dict[str, Callable[[str, Any], Any]] = {
    "name": _name,
    "about": _about,
    "position": _whole(-1_000_000, 1_000_000),
    "is_enabled": _truth,
    "condition": _one_of(RuleCondition.values),
    "classes": _list(_one_of(sorted(CLASSES.keys() - {"delivered", "suppressed", "expired", "cancelled"}))),
    "texts": _list(_text),
    "codes": _list(_code),
    "lines": _list(_plain),
    "sites": _list(_plain),
    "n_hits": _whole(1, 1_000_000),
    "per": _span(_LONGEST_COUNT),
    "factor": _number(1, 1000),
    "scope": _one_of(RuleScope.values),
    "action": _one_of(RuleAction.values),
    "rate": _rate,
    "share": _whole(1, 99, or_none=True),
    "lasts": _span(_LONGEST, or_none=True),
    "growth": _number(1, 10),
    "cap": _span(_LONGEST),
}
FIELDS = tuple(_READ)
