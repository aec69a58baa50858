"""What is said of a group of alerts, as plain values: a subject, lines, links. For letter.py and webhook.py.

Everything that a stranger may have written is one printable line of bounded length when it leaves here;
whoever makes HTML of it escapes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

from queueapp import conf
from queueapp.mail.reply import clean
from queueapp.models import Alert, AlertGroup, NoticeKind

MOST_LINES = 20
_WORD = {"critical": "CRITICAL", "warning": "Warning", "info": "Note"}
_BEGIN = {
    NoticeKind.REMINDER: "Still: ",
    NoticeKind.GROWN: "More: ",
    NoticeKind.RESOLVED: "Resolved: ",
    NoticeKind.FLAPPING: "Comes and goes: ",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One alert of the group."""

    title: str
    label: str
    value: str
    threshold: str
    since: str
    state: str


@dataclass(frozen=True, slots=True)
class Story:
    """`rows`: the first of `n`; `links`: (what, address) in the order of use."""

    kind: str
    severity: str
    subject: str
    title: str
    lead: str
    n: int
    rows: tuple[Row, ...]
    causes: tuple[tuple[str, str], ...]
    sites: tuple[tuple[str, str], ...]
    reply: str
    advice: str
    links: tuple[tuple[str, str], ...]
    host: str


def story(
    kind: NoticeKind, group: AlertGroup, alerts: Sequence[Alert], now: datetime, *,
    detail: dict[str, Any] | None = None,
) -> Story:  # fmt: skip
    """`detail` as of an Alert; left out, that of the one that says most."""
    title = line(group.title, 250)
    now_it_is = " now" if kind == NoticeKind.WORSE else ""
    prefix = _BEGIN.get(kind, f"{_WORD.get(group.severity, '')}{now_it_is}: ")
    first = _telling(alerts)
    detail = detail or (first.detail if first else {})
    return Story(
        kind=kind.value,
        severity=group.severity,
        subject=line(f"[{conf.current().host}] {prefix}{title}", 200),
        title=title,
        lead=_lead(kind, group, len(alerts), now),
        n=len(alerts),
        rows=tuple(_row(each) for each in alerts[:MOST_LINES]),
        causes=_pairs(detail.get("causes")),
        sites=_sites(alerts, detail),
        reply=line(detail.get("reply", ""), 300),
        advice=line(detail.get("advice", ""), 500),
        links=links(str(detail.get("query", "")), group),
        host=conf.current().host,
    )


def line(text: object, longest: int) -> str:
    """One printable line, whatever it was."""
    shown = clean(str(text), longest)
    return "".join(char if char.isprintable() else "?" for char in shown)


def at(when: datetime | None) -> str:
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if when else ""


def span(length: timedelta) -> str:
    """`2 d 4 h`, `3 h 5 min`, `40 s`."""
    seconds = max(0, round(length.total_seconds()))
    days, hours, minutes = seconds // 86400, seconds % 86400 // 3600, seconds % 3600 // 60
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min" if minutes else f"{seconds} s"


def amount(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    if unit == "seconds":
        return f"{value:.1f} s" if value < 10 else span(timedelta(seconds=value))
    shown = f"{value:,.0f}" if value == int(value) or value >= 100 else f"{value:,.1f}"
    names = {"percent": " %", "per_minute": " a minute"}
    return f"{shown}{names.get(unit, f' {unit}' if unit else '')}"


def base() -> str:
    """Of all links, without a slash at its end."""
    current = conf.current()
    return current.url or f"http://{current.http}"


def links(query: str, group: AlertGroup) -> tuple[tuple[str, str], ...]:
    return (
        ("The deliveries", f"{base()}/deliveries?{urlencode({'q': query}, quote_via=quote)}"),
        ("Why, and what to do", f"{base()}/diagnosis"),
        ("Acknowledge or silence", f"{base()}/alerts?{urlencode({'group': group.pk or ''})}"),
    )


def _lead(kind: NoticeKind, group: AlertGroup, n: int, now: datetime) -> str:
    since = at(group.since)
    if kind == NoticeKind.RESOLVED:
        return f"It is over. It began {since} and lasted {span(now - group.since)}."
    if kind == NoticeKind.REMINDER:
        more = f", {n:,} alerts now" if n > 1 else ""
        return f"It still holds: since {since}, for {span(now - group.since)}{more}."
    if kind == NoticeKind.WORSE:
        return f"It is {group.severity} now. It holds since {since}, for {span(now - group.since)}."
    if kind == NoticeKind.GROWN:
        return f"More have joined: {n:,} alerts now. It holds since {since}, for {span(now - group.since)}."
    if kind == NoticeKind.FLAPPING:
        return f"It came and went several times, again since {since}. You hear next when it is steady."
    return f"Since {since}."


def _telling(alerts: Sequence[Alert]) -> Alert | None:
    """The one that says most of the causes."""
    return max(alerts, key=lambda each: (bool(each.detail.get("advice")), each.scope == "part"), default=None)


def _row(alert: Alert) -> Row:
    state = "over" if alert.resolved_at else "comes and goes" if alert.is_flapping else alert.state
    return Row(
        line(alert.title, 300), line(alert.label, 200), amount(alert.value, alert.unit),
        amount(alert.threshold, alert.unit), at(alert.since), state,
    )  # fmt: skip


def _sites(alerts: Sequence[Alert], detail: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """Of all domains and sites of the group the fullest; else those of its cause."""
    own = [(each.label, each.value or 0) for each in alerts if each.scope in ("domain", "site")]
    if own:
        return _pairs(sorted(own, key=lambda pair: -pair[1]))
    return _pairs(detail.get("sites"))


def _pairs(found: Any) -> tuple[tuple[str, str], ...]:
    pairs = [(line(name, 300), f"{n:,.0f}" if n else "") for name, n in (found or [])[:10]]
    return tuple(pairs)
