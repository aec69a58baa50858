"""Alerts for the dashboard's tests, with as little said as the test needs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from queueapp.models import Alert, AlertGroup, AlertRule, Notice, Silence
from tests.dashboard.rows import now


def a_rule(name: str = "Mail is late", **values: Any) -> AlertRule:
    values = {"condition": "oldest_due", "severity": "critical", "threshold": 600, **values}
    return AlertRule.objects.get_or_create(name=name, defaults=values)[0]


def a_group(title: str = "Queue clogged: 14 domains, one cause", **values: Any) -> AlertGroup:
    values = {"key": title[:200], "severity": "critical", "since": now(), **values}
    return AlertGroup.objects.create(title=title, **values)


def an_alert(title: str = "Mail is late", **values: Any) -> Alert:
    """One that fires."""
    rule = values.pop("rule", None) or a_rule()
    since = values.get("since", now() - timedelta(minutes=7))
    defaults: dict[str, Any] = {
        "rule": rule, "rule_name": rule.name, "condition": rule.condition, "severity": "critical",
        "scope": "all", "key": f"all:{title}", "label": "the whole queue", "state": "firing", "value": 1260,
        "threshold": 600, "unit": "seconds", "since": since, "seen_at": now(), "fired_at": since,
    }  # fmt: skip
    return Alert.objects.create(title=title, **{**defaults, **values})


def an_old_alert(title: str = "It was late", **values: Any) -> Alert:
    return an_alert(title, **{"state": "resolved", "resolved_at": now(), **values})


def a_notice(group: AlertGroup | None = None, **values: Any) -> Notice:
    defaults: dict[str, Any] = {
        "group": group, "kind": "firing", "channel": "email", "to": "oncall@example.com",
        "subject": "Queue clogged", "body": "…", "state": "sent", "made_at": now(), "sent_at": now(),
        "n_tries": 1, "via": "mx.example.com",
    }  # fmt: skip
    return Notice.objects.create(**{**defaults, **values})


def a_silence(**values: Any) -> Silence:
    defaults: dict[str, Any] = {
        "reason": "New router", "since": now(), "until": now() + timedelta(hours=1), "made_by": "user:ada",
    }  # fmt: skip
    return Silence.objects.create(**{**defaults, **values})
