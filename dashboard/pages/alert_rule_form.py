"""A rule as a form and as a sentence: "Due mail is not tried (10 min or more) for 5 min: tell us."

What is typed is text: spans such as `90s`, `10m`, `2h`, `1d`, addresses with commas or on lines of their own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from dashboard.pages.alert_words import SCOPES, amount
from dashboard.templatetags.times import duration
from queueapp.access.change import Wrong
from queueapp.models import AlertRule
from queueapp.watch.alerts.conditions import BY_NAME

_SPAN = re.compile(r"(\d{1,6})\s*([smhd])")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def conditions() -> dict[str, tuple[str, str]]:
    """name: (what it looks at, unit)"""
    return {name: (condition.title, condition.unit) for name, condition in BY_NAME.items()}


def sentence(rule: AlertRule) -> str:
    title, unit = conditions().get(rule.condition, (rule.condition.replace("_", " "), ""))
    about = "" if rule.scope == "all" else f" of {rule.only or SCOPES.get(rule.scope, rule.scope)}"
    than = f" ({amount(rule.threshold, unit)} or more)" if rule.threshold is not None else ""
    holds = rule.holds_for.total_seconds()
    told = f"for {duration(holds)}" if holds else "at once"
    again = f", again every {duration(rule.remind_every.total_seconds())}" if rule.remind_every else ""
    whom = ", ".join(rule.recipients) if rule.recipients else "whoever gets the alert mail"
    over = duration(rule.clear_for.total_seconds())
    return f"{title}{about}{than} {told}: tell {whom}{again}. Over when it was clear for {over}."


@dataclass(slots=True)
class Form:
    """As typed; `values` is what the action takes."""

    name: str = ""
    about: str = ""
    condition: str = ""
    severity: str = "warning"
    threshold: str = ""
    scope: str = "all"
    only: str = ""
    holds_for: str = "2m"
    clear_for: str = "3m"
    remind_every: str = ""
    recipients: str = ""

    @classmethod
    def of(cls, rule: AlertRule | None) -> Form:
        if rule is None:
            return cls()
        return cls(
            name=rule.name, about=rule.about, condition=rule.condition, severity=rule.severity,
            threshold="" if rule.threshold is None else f"{rule.threshold:g}", scope=rule.scope,
            only=rule.only, holds_for=_span_text(rule.holds_for), clear_for=_span_text(rule.clear_for),
            remind_every=_span_text(rule.remind_every), recipients=", ".join(rule.recipients),
        )  # fmt: skip

    @classmethod
    def typed(cls, given: Mapping[str, str], rule: AlertRule | None) -> Form:
        """What a shipped rule keeps is not asked for."""
        kept = asdict(cls.of(rule))
        return cls(**{name: str(given.get(name, kept[name])).strip()[:4000] for name in kept})

    def values(self) -> dict[str, Any]:
        """Raises Wrong."""
        return {
            **{
                name: getattr(self, name)
                for name in ("name", "about", "condition", "severity", "scope", "only")
            },
            "threshold": _number(self.threshold),
            "holds_for": _span("holds_for", self.holds_for) or timedelta(0),
            "clear_for": _span("clear_for", self.clear_for) or timedelta(0),
            "remind_every": _span("remind_every", self.remind_every),
            "recipients": [each for each in re.split(r"[,\s]+", self.recipients) if each],
        }


def _span(field: str, text: str) -> timedelta | None:
    if not text or text == "0":
        return None
    found = _SPAN.fullmatch(text)
    if found is None:
        raise Wrong(field, f"{text[:40]!r} is not a time such as 90s, 10m, 2h or 1d")
    return timedelta(seconds=int(found[1]) * _UNITS[found[2]])


def _span_text(span: timedelta | None) -> str:
    seconds = int(span.total_seconds()) if span else 0
    for unit in ("d", "h", "m", "s"):
        if seconds and seconds % _UNITS[unit] == 0:
            return f"{seconds // _UNITS[unit]}{unit}"
    return "0" if span is not None else ""


def _number(text: str) -> float | None:
    if not text:
        return None
    try:
        return float(text)
    except ValueError:
        raise Wrong("threshold", f"{text[:40]!r} is not a number") from None
