"""What holds, what rules do and what receivers say, on the same busy morning: rows for pictures."""

# ruff: noqa: E501  replies are as long as they are

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from queueapp.access import reply_rules, rules
from queueapp.access.change import COMMAND, Actor
from queueapp.engine.rules import effects, ruleset, shipped
from queueapp.engine.rules.effects import Target
from queueapp.engine.suspensions import Cause
from queueapp.models import Alert, AlertGroup, AlertRule, Bookmark, Effect, Notice, RuleHour, Silence, Site
from queueapp.watch import pulse
from queueapp.watch.alerts import shipped as alert_rules
from queueapp.watch.diagnosis import look, store

_YAHOO = "421 4.7.0 [TSS04] Messages from 192.0.2.25 temporarily deferred due to unexpected volume or user complaints"
_OUTLOOK = "451 4.7.650 The mail server [192.0.2.25] has been temporarily rate limited due to IP reputation"
_TALK = (
    "S: 220 mx.oncall.example ESMTP\nC: EHLO mail1.shop.example\nS: 250 STARTTLS\nC: MAIL FROM:<alerts@shop.example>\n"
    "S: 250 2.1.0 Ok\nC: RCPT TO:<oncall@oncall.example>\nS: 250 2.1.5 Ok\nC: DATA\nS: 354 End data\nS: 250 2.0.0 Ok: queued"
)  # fmt: skip
_HITS = (
    ("code:4.7.0", 5120), ("code:4.7.1", 911), ("stage:connect", 312), ("pattern:spamhaus", 288),
    ("code:5.1.1", 240), ("pattern:greylisting", 96), ("code:4.2.2", 41),
)  # fmt: skip


def fill(now: datetime | None = None) -> dict[str, Any]:
    """Gives what stands in the addresses of pages worth a picture."""
    now = now or datetime.now(UTC)
    Bookmark.objects.filter(pk=store.NAME).delete()
    look.look()
    shown = {"alert": _alerts(now), "rule": _rules(now), "reply": _replies(now)}
    pulse.beat()
    return {
        **shown,
        "alert_rule": AlertRule.objects.get(key="domain-clogged").pk,
        "site": _site("yahoodns.net").pk,
    }


def _site(name: str) -> Site:
    return Site.objects.get(name=name)


def _alerts(now: datetime) -> int:
    alert_rules.sync()
    AlertRule.objects.create(
        name="Invoices are late", about="Finance waits for them.", condition="clogged", severity="critical",
        threshold=100, holds_for=timedelta(minutes=5), scope="domain", only="*.bank.example", made_by="user:grace",
    )  # fmt: skip
    group = AlertGroup.objects.create(
        key="cause:rate_limit", title="Queue clogged: 3 domains, one cause", severity="critical",
        since=now - timedelta(minutes=41), told_at=now - timedelta(minutes=36), n_told=1, n_most=3,
    )  # fmt: skip
    shown = 0
    for name, value, minutes in (("yahoo.com", 1243, 41), ("outlook.com", 286, 29), ("orange.fr", 31, 12)):
        row = _alert(
            now, "domain-clogged", f"Mail to {name} is stuck", minutes, scope="domain", key=f"domain:{name}", label=name,
            value=value, threshold=25, unit="deliveries", group=group, severity="critical",
            detail={
                "causes": [["The receiver limits our rate: too much from our address for its reputation", value]],
                "reply": _YAHOO if name == "yahoo.com" else _OUTLOOK, "query": f"domain:{name} state:deferred",
                "sites": [[f"{name} and its servers", value]],
                "advice": "Send less there for some hours, and find out who complains.",
            },
        )  # fmt: skip
        shown = shown or row.pk
    _alert(
        now, "deferral-share", "Much is deferred at outlook.com", 18, scope="site", key="site:outlook.com",
        label="outlook.com", value=64, threshold=50, unit="percent", state="acknowledged",
        acknowledged_at=now - timedelta(minutes=9), acknowledged_by="user:grace", note="Asked their postmaster",
    )  # fmt: skip
    for name, ended, lasted in (
        ("The disk fills up", 7, 25),
        ("No worker runs", 31, 3),
        ("A part does not run", 52, 2),
    ):
        _alert(
            now, AlertRule.objects.get(name=name).key or "", name, 60 * ended + lasted, state="resolved",
            resolved_at=now - timedelta(hours=ended),
        )  # fmt: skip
    _notices(now, group)
    for reason, hours, only, lifted in (
        ("New router in Frankfurt", 2, "", None), ("Their move to another provider", 20, "newsletter-partner.example", None),
        ("Fire drill", -3, "", now - timedelta(hours=4)),
    ):  # fmt: skip
        Silence.objects.create(
            reason=reason, since=now - timedelta(hours=5), until=now + timedelta(hours=hours), only=only, made_by="user:grace",
            rule=None if only else AlertRule.objects.get(key="parts"), lifted_at=lifted, lifted_by="user:ada" if lifted else "",
        )  # fmt: skip
    return shown


def _alert(now: datetime, rule: str, title: str, minutes: int, **values: Any) -> Alert:
    row = AlertRule.objects.get(key=rule)
    since = now - timedelta(minutes=minutes)
    defaults: dict[str, Any] = {
        "rule": row, "rule_name": row.name, "condition": row.condition, "severity": row.severity, "scope": "all",
        "key": f"all:{rule}", "label": "the whole queue", "state": "firing", "since": since, "seen_at": now,
        "fired_at": since + timedelta(minutes=5),
    }  # fmt: skip
    return Alert.objects.create(title=title, **{**defaults, **values})


def _notices(now: datetime, group: AlertGroup) -> None:
    for channel, to, via in (
        ("email", "oncall@oncall.example", "mx.oncall.example"), ("slack", "hooks.slack.example", "hooks.slack.example"),
    ):  # fmt: skip
        Notice.objects.create(
            group=group, kind="firing", channel=channel, to=to, subject=f"[critical] {group.title}", body="…", state="sent",
            made_at=group.told_at or now, sent_at=group.told_at, n_tries=1, via=via, talk=_TALK if channel == "email" else "",
        )  # fmt: skip


def _rules(now: datetime) -> int:
    """What rules that are shipped hold back now, and one of somebody's own."""
    shipped.sync()
    made = rules.create(
        Actor("user:grace", COMMAND.scopes),
        {
            "name": "Campus mail in the evening", "about": "Their filter is slow after the lectures.", "classes": ["busy"],
            "scope": "site", "action": "slow", "rate": "60/m", "sites": ["example-university.edu"], "lasts": 3600, "cap": 14_400,
        },
    )  # fmt: skip
    held = {rule.key: rule for rule in ruleset.enabled("reply") + ruleset.enabled("flood")}
    site = _site("google.com")
    rate = "421 4.7.28 Gmail has detected an unusual rate of mail from your IP address"
    effects.begin(held["google_rate"], Target("site", site_id=site.pk), Cause("rate_limited", rate), 37)
    flood = Cause("", "20,412 deliveries within a minute; at most 37 is usual for it")
    effects.begin(held["flood"], Target("login", value="webshop"), flood, 20_412)
    Effect.objects.update(since=now - timedelta(minutes=6))
    return int(made.pk)


def _replies(now: datetime) -> int:
    hour = now.replace(minute=0, second=0, microsecond=0)
    RuleHour.objects.bulk_create(RuleHour(rule=rule, at=hour, n=n) for rule, n in _HITS)
    line = reply_rules.Asked(
        "university-night", "busy", ("see you in 5 minutes",), ("450",), note="Closed for the night, by phone"
    )
    reply_rules.attempt(COMMAND, line)
    return int(reply_rules.create(COMMAND, line, is_on=True).pk)
