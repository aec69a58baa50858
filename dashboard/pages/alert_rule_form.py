"""A rule as a form and as a sentence: "Due mail is not tried (at least 10 min) for 5 min: tell us."

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
from queueapp.grammar import GrammarError
from queueapp.models import AlertRule
from queueapp.watch.alerts.conditions import BY_NAME
from queueapp.watch.alerts.seen import Condition

_SPAN = re.compile(r"(\d{1,6})\s*([smhd])")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def conditions() -> list[Condition]:
    return list(BY_NAME.values())


def sentence(rule: AlertRule) -> str:
    condition = BY_NAME.get(rule.condition)
    title = condition.title if condition else rule.condition.replace("_", " ")
    unit, than = (condition.unit, condition.than) if condition else ("", "at least")
    about = "" if rule.scope == "all" else f" of {rule.only or SCOPES.get(rule.scope, rule.scope)}"
    if rule.query:
        about = f": {rule.query}"
    limit = f" ({than} {amount(rule.threshold, unit)})" if rule.threshold is not None else ""
    holds = rule.holds_for.total_seconds()
    told = f"for {duration(holds)}" if holds else "at once"
    again = f", again every {duration(rule.remind_every.total_seconds())}" if rule.remind_every else ""
    whom = ", ".join(rule.recipients) if rule.recipients else "whoever gets the alert mail"
    over = duration(rule.clear_for.total_seconds())
    return f"{title}{about}{limit} {told}: tell {whom}{again}. Over when it was clear for {over}."


@dataclass(slots=True)
class Form:
    """As typed; `values` is what the action takes."""

    name: str = ""
    about: str = ""
    condition: str = ""
    severity: str = "warning"
    query: str = ""
    threshold: str = ""
    scope: str = ""
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
            name=rule.name, about=rule.about, condition=rule.condition, query=rule.query,
            severity=rule.severity, scope=rule.scope, only=rule.only,
            threshold="" if rule.threshold is None else f"{rule.threshold:g}",
            holds_for=_span_text(rule.holds_for), clear_for=_span_text(rule.clear_for),
            remind_every=_span_text(rule.remind_every), recipients=", ".join(rule.recipients),
        )  # fmt: skip

    @classmethod
    def typed(cls, given: Mapping[str, str], rule: AlertRule | None) -> Form:
        """What a shipped rule keeps is not asked for."""
        kept = {**asdict(cls.of(rule)), "scope": ""}
        return cls(**{name: str(given.get(name, kept[name])).strip()[:4000] for name in kept})

    def values(self, only: tuple[str, ...] = ()) -> dict[str, Any]:
        """What the action takes; `only`: of these fields, and of those that say what the rule is. Raises
        Wrong."""
        texts = ("name", "about", "condition", "severity", "only")
        found = {
            **{name: getattr(self, name) for name in texts},
            # A field that is out of sight is not meant.
            "query": self.query if _has_search(self.condition) else "",
            "threshold": _number(self.threshold),
            **({"scope": self.scope} if self.scope else {}),
        }
        if only:
            return {name: found[name] for name in (*only, "condition", "only") if name in found}
        return {
            **found,
            "holds_for": _span("holds_for", self.holds_for) or timedelta(0),
            "clear_for": _span("clear_for", self.clear_for) or timedelta(0),
            "remind_every": _span("remind_every", self.remind_every),
            "recipients": [each for each in re.split(r"[,\s]+", self.recipients) if each],
        }


def marked(text: str, error: GrammarError) -> tuple[str, str, str]:
    """(before, what is wrong, behind): for people to see where. Something is marked, also at the end."""
    end = error.position + max(error.length, 1)
    return text[: error.position], text[error.position : end] or "…", text[end:]


def _has_search(name: str) -> bool:
    condition = BY_NAME.get(name)
    return condition is not None and condition.has_search


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
