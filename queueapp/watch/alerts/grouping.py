"""What is told as one: alerts with one cause belong to one group, which begins and ends by one mail.

Pure but for the rows handed in.
"""

from __future__ import annotations

from collections.abc import Sequence

from queueapp.models import Alert, Severity

_ORDER = {Severity.CRITICAL: 0, Severity.WARNING: 1, Severity.INFO: 2}


def key_of(alert: Alert) -> str:
    return (alert.cause or f"{alert.condition}:{alert.key}")[:200]


def worst(alerts: Sequence[Alert]) -> Severity:
    return Severity(min((each.severity for each in alerts), key=lambda name: _ORDER[Severity(name)]))


def is_worse(severity: str, than: str) -> bool:
    return _ORDER[Severity(severity)] < _ORDER[Severity(than)]


def title_of(alerts: Sequence[Alert]) -> str:
    """ "Queue clogged: 14 domains, one cause: the receiver is slow or down". Names in it are strangers'."""
    first = min(
        alerts, key=lambda each: (_ORDER[Severity(each.severity)], each.fired_at or each.since, each.key)
    )
    if len(alerts) == 1:
        return first.title
    scopes = {each.scope for each in alerts}
    cause = cause_of(alerts)
    for scope, plural in (("domain", "domains"), ("site", "sites"), ("campaign", "campaigns")):
        n = sum(each.scope == scope for each in alerts)
        if n > 1:
            return f"Queue clogged: {n:,} {plural}, one cause" + (
                f": {cause[:1].lower()}{cause[1:]}" if cause else ""
            )
    if scopes == {"sender"}:
        return f"{len(alerts):,} senders were stopped"
    return f"{first.title} (and {len(alerts) - 1} more)"


def cause_of(alerts: Sequence[Alert]) -> str:
    """Of the first that names one, in words."""
    for each in sorted(alerts, key=lambda each: each.scope not in ("domain", "site")):
        causes = each.detail.get("causes") or []
        if causes:
            return str(causes[0][0])
    return ""
