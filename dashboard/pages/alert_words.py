"""Alerts in words: amounts with their unit, and where the thing that an alert is about can be seen."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from dashboard.snapshot.links import deliveries, domain_page, open_at, site_page
from dashboard.templatetags.times import duration, grouped, octets
from queueapp.models import Alert, AlertState, Notice, NoticeKind

# state: word of people
STATES = {
    AlertState.PENDING: "seen",
    AlertState.FIRING: "firing",
    AlertState.ACKNOWLEDGED: "acknowledged",
    AlertState.RESOLVED: "over",
}
KINDS = {
    NoticeKind.FIRING: "told",
    NoticeKind.REMINDER: "reminded",
    NoticeKind.RESOLVED: "told that it is over",
    NoticeKind.FLAPPING: "told that it comes and goes",
    NoticeKind.OWNER: "told the sender's owner",
    NoticeKind.TEST: "a test",
}
SCOPES = {
    "all": "the whole queue",
    "site": "a site",
    "domain": "a domain",
    "sender": "a sender",
    "campaign": "a campaign",
    "part": "a part of the machine",
}


def amount(value: float | None, unit: str) -> str:
    """ "1,204 deliveries", "43 %", "3 h 5 min"; "" for none."""
    if value is None:
        return ""
    if unit == "seconds":
        return duration(value)
    if unit == "bytes":
        return octets(int(value))
    number = grouped(value)
    words = {
        "percent": f"{number} %",
        "per_minute": f"{number} a minute",
        "days": f"{number} day{'' if number == '1' else 's'}",
        "deliveries": f"{number} deliver{'y' if number == '1' else 'ies'}",
        "": number,
    }
    return words.get(unit, f"{number} {unit}")


def told(alert: Alert, now: datetime) -> dict[str, Any]:
    """A row for lists and for its page; `alert` with its group."""
    end = alert.resolved_at or now
    return {
        "alert": alert,
        "state": STATES.get(AlertState(alert.state), alert.state),
        "value": amount(alert.value, alert.unit),
        "threshold": amount(alert.threshold, alert.unit),
        "causes": [(str(text), n) for text, n in alert.detail.get("causes", [])[:5]],
        "sites": [(str(name), n, open_at(str(name))) for name, n in alert.detail.get("sites", [])[:5]],
        "reply": str(alert.detail.get("reply", "")),
        "advice": str(alert.detail.get("advice", "")),
        "lasted": (end - alert.since).total_seconds(),
        "quiet": quiet_because(alert),
        "links": links(alert),
    }


def quiet_because(alert: Alert) -> str:
    """Why nobody is told of it, in words; "" where somebody is."""
    kind, _, name = alert.muted_by.partition(":")
    if kind == "silence":
        return f"silenced by silence {name}"
    if kind == "parent":
        return f"told with {name}"
    return alert.muted_by


def links(alert: Alert) -> list[tuple[str, str]]:
    """(word, address): what it is about, and the mails."""
    found = []
    kind, _, name = alert.key.partition(":")
    if kind == "domain" and name:
        found.append(("The domain", domain_page(name)))
    if kind == "site" and name.isascii() and name.isdigit() and len(name) < 19:
        found.append(("The site", site_page(int(name))))
    if query := str(alert.detail.get("query", "")):
        found.append(("Its mails", deliveries(query)))
    return found


def sent(notice: Notice) -> dict[str, Any]:
    return {"notice": notice, "kind": KINDS.get(NoticeKind(notice.kind), notice.kind)}
