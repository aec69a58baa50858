"""Conditions that people are told of: the rules, what holds now, what keeps quiet, and what was said to whom.

Written by queueapp/watch/alerts alone, but for what people do (queueapp/access/alerts.py). Alerts and groups
are kept when they are over. Texts in them may quote a stranger: whoever draws them escapes them.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Self

from django.db import models
from django.db.models import Q


class Severity(models.TextChoices):
    CRITICAL = "critical"
    """Mail does not go out, or soon will not."""
    WARNING = "warning"
    INFO = "info"


class AlertScope(models.TextChoices):
    ALL = "all"
    SITE = "site"
    DOMAIN = "domain"
    SENDER = "sender"
    """A login or an address that hands mail in."""
    CAMPAIGN = "campaign"
    PART = "part"
    """A part of this machine, a disk, a certificate, a key, a blocklist."""


class AlertState(models.TextChoices):
    PENDING = "pending"
    """Seen, but not for long enough yet: nobody is told."""
    FIRING = "firing"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class AlertRule(models.Model):
    key = models.CharField(
        max_length=48, unique=True, null=True, blank=True, help_text="Of one that is shipped; empty: own."
    )
    name = models.CharField(max_length=100, unique=True)
    about = models.CharField(max_length=500, blank=True, help_text="Why, for people.")
    condition = models.CharField(max_length=32, help_text="What is looked at: watch/alerts/conditions.")
    is_enabled = models.BooleanField(default=True)
    severity = models.CharField(max_length=8, choices=Severity.choices, default=Severity.WARNING)
    threshold = models.FloatField(null=True, blank=True, help_text="In the condition's unit.")
    scope = models.CharField(max_length=8, choices=AlertScope.choices, default=AlertScope.ALL)
    only = models.CharField(
        max_length=560, blank=True, help_text="One of that scope, or a pattern with *; empty: each."
    )
    query = models.CharField(
        max_length=2000, blank=True, help_text="A search of deliveries, where the condition counts them."
    )
    blind_since = models.DateTimeField(
        null=True, blank=True, help_text="The watch can't tell since then whether it holds."
    )
    holds_for = models.DurationField(
        default=timedelta(minutes=2), help_text="So long before people are told."
    )
    clear_for = models.DurationField(default=timedelta(minutes=3), help_text="So long before it is over.")
    remind_every = models.DurationField(null=True, blank=True, help_text="Empty: no reminder.")
    recipients = models.JSONField(default=list, blank=True, help_text="Addresses; empty: MAILWEIR_ALERT_TO.")
    made_by = models.CharField(max_length=150, blank=True)
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(severity__in=Severity.values), name="alert_rule_severity_known"
            ),
            models.CheckConstraint(condition=Q(scope__in=AlertScope.values), name="alert_rule_scope_known"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_shipped(self) -> bool:
        return self.key is not None


class AlertGroup(models.Model):
    """Alerts with one cause: they are told by one mail, and end by one. `key` names the cause."""

    key = models.CharField(max_length=200)
    title = models.CharField(max_length=300)
    severity = models.CharField(max_length=8, choices=Severity.choices)
    since = models.DateTimeField()
    told_at = models.DateTimeField(null=True, blank=True, help_text="Empty: nobody was told yet.")
    told_again_at = models.DateTimeField(null=True, blank=True, help_text="The last mail of the thread.")
    n_told = models.PositiveIntegerField(default=0, help_text="Mails of the thread so far.")
    n_most = models.PositiveIntegerField(default=0, help_text="The most alerts that it had at once.")
    told_severity = models.CharField(
        max_length=8, blank=True, help_text="How bad people know it to be; empty: not told."
    )
    n_known = models.PositiveIntegerField(default=0, help_text="How many alerts the last mail spoke of.")
    thread = models.CharField(max_length=255, blank=True, help_text="Message-ID of its first mail.")
    resolved_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["key"], condition=Q(resolved_at__isnull=True), name="alert_group_open_once"
            )
        ]
        indexes = [
            # prune, by age
            models.Index(
                fields=["resolved_at"], name="alert_group_resolved", condition=Q(resolved_at__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return self.title


class AlertQuerySet(models.QuerySet["Alert"]):
    def open(self) -> Self:
        """What people should see: firing or acknowledged, the worst first, the longest first."""
        worst = models.Case(
            models.When(severity=Severity.CRITICAL, then=0),
            models.When(severity=Severity.WARNING, then=1),
            default=2,
            output_field=models.IntegerField(),
        )
        states = (AlertState.FIRING, AlertState.ACKNOWLEDGED)
        return self.live().filter(state__in=states).annotate(worst=worst).order_by("worst", "fired_at", "pk")

    def live(self) -> Self:
        """Those that are not over, pending ones too."""
        return self.filter(resolved_at__isnull=True)

    def over(self) -> Self:
        """Those that people were told of or could have seen, and that are over: newest first."""
        return self.filter(resolved_at__isnull=False, fired_at__isnull=False).order_by("-resolved_at", "-pk")


class Alert(models.Model):
    """One rule on one thing (`key`, such as `domain:example.com`); a row from when it is first seen until it
    is over. `value` and `threshold` are in `unit`: deliveries, seconds, percent, per_minute, days, bytes, or
    empty. `detail`: {"causes": [[sentence, n]], "sites": [[name, n]], "reply": text, "query": search,
    "advice": text}, each optional. `muted_by`: why nobody is told of it: `silence:ID`, `parent:NAME`,
    `quiet hours`, `flapping`."""

    rule = models.ForeignKey(AlertRule, models.SET_NULL, null=True, blank=True, related_name="alerts")
    rule_name = models.CharField(max_length=100)
    condition = models.CharField(max_length=32)
    severity = models.CharField(max_length=8, choices=Severity.choices)
    scope = models.CharField(max_length=8, choices=AlertScope.choices)
    key = models.CharField(max_length=600)
    label = models.CharField(max_length=600, help_text="On what, for people.")
    title = models.CharField(max_length=300)
    cause = models.CharField(max_length=200, blank=True, help_text="What it is grouped by.")
    group = models.ForeignKey(AlertGroup, models.SET_NULL, null=True, blank=True, related_name="alerts")
    state = models.CharField(max_length=12, choices=AlertState.choices, default=AlertState.PENDING)
    value = models.FloatField(null=True, blank=True)
    threshold = models.FloatField(null=True, blank=True)
    unit = models.CharField(max_length=12, blank=True)
    detail = models.JSONField(default=dict, blank=True)
    since = models.DateTimeField(help_text="When it was first seen.")
    seen_at = models.DateTimeField(help_text="When it was last seen.")
    clear_since = models.DateTimeField(null=True, blank=True, help_text="Not seen since; empty: it holds.")
    fired_at = models.DateTimeField(null=True, blank=True)
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by = models.CharField(max_length=150, blank=True)
    note = models.CharField(max_length=500, blank=True, help_text="What who acknowledged it said.")
    resolved_at = models.DateTimeField(null=True, blank=True)
    muted_by = models.CharField(max_length=120, blank=True)
    is_flapping = models.BooleanField(default=False, help_text="Comes and goes: quiet until it is steady.")

    objects = AlertQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["rule", "key"], condition=Q(resolved_at__isnull=True), name="alert_open_once"
            ),
            models.CheckConstraint(condition=Q(state__in=AlertState.values), name="alert_state_known"),
        ]
        indexes = [
            # Those that are not over.
            models.Index(fields=["fired_at"], name="alert_live", condition=Q(resolved_at__isnull=True)),
            # The history, and prune.
            models.Index(
                fields=["-resolved_at", "-id"], name="alert_over", condition=Q(resolved_at__isnull=False)
            ),
            # How often the same came and went: flapping.
            models.Index(fields=["key", "-id"], name="alert_key"),
        ]

    def __str__(self) -> str:
        return self.title


class SilenceQuerySet(models.QuerySet["Silence"]):
    def in_force(self, now: datetime) -> Self:
        return self.filter(since__lte=now, until__gt=now, lifted_at__isnull=True)


def matches(pattern: str, text: str) -> bool:
    """Whether the text is the pattern, where `*` stands for any characters; upper and lower case are one."""
    first, *rest = pattern.lower().split("*")
    text = text.lower()
    if not rest:
        return text == first
    if not text.startswith(first):
        return False
    place = len(first)
    for part in rest[:-1]:
        place = text.find(part, place)
        if place < 0:
            return False
        place += len(part)
    return len(text) - place >= len(rest[-1]) and text.endswith(rest[-1])


class Silence(models.Model):
    """Nobody is told of what it covers, until it ends. All that is given must match; `only` is one key or
    label, or a pattern with *."""

    rule = models.ForeignKey(AlertRule, models.CASCADE, null=True, blank=True, related_name="silences")
    severity = models.CharField(max_length=8, choices=Severity.choices, blank=True)
    scope = models.CharField(max_length=8, choices=AlertScope.choices, blank=True)
    only = models.CharField(max_length=560, blank=True)
    reason = models.CharField(max_length=200)
    since = models.DateTimeField()
    until = models.DateTimeField()
    made_by = models.CharField(max_length=150)
    lifted_at = models.DateTimeField(null=True, blank=True)
    lifted_by = models.CharField(max_length=150, blank=True)

    objects = SilenceQuerySet.as_manager()

    class Meta:
        indexes = [
            # Those that hold, and prune.
            models.Index(fields=["until"], name="silence_until"),
        ]

    def __str__(self) -> str:
        return f"until {self.until:%F %R}: {self.reason}"

    def covers(self, alert: Alert) -> bool:
        """Whether it matches; whether it is in force is another question."""
        if self.rule_id and self.rule_id != alert.rule_id:
            return False
        if (self.severity and self.severity != alert.severity) or (self.scope and self.scope != alert.scope):
            return False
        _, _, name = alert.key.partition(":")
        return not self.only or any(matches(self.only, each) for each in (name, alert.key, alert.label))


class NoticeKind(models.TextChoices):
    FIRING = "firing"
    REMINDER = "reminder"
    WORSE = "worse"
    """It is critical now, and was not when people were told."""
    GROWN = "grown"
    """Many more have joined."""
    RESOLVED = "resolved"
    FLAPPING = "flapping"
    OWNER = "owner"
    """To the owner of a sender that was stopped."""
    TEST = "test"


class NoticeState(models.TextChoices):
    WAITING = "waiting"
    SENT = "sent"
    FAILED = "failed"
    """Given up after the last try."""


class Notice(models.Model):
    """One thing said to one recipient by one channel. What waits is tried again for hours; `talk` is how the
    last try went, without secrets."""

    group = models.ForeignKey(AlertGroup, models.CASCADE, null=True, blank=True, related_name="notices")
    kind = models.CharField(max_length=8, choices=NoticeKind.choices)
    channel = models.CharField(max_length=8, help_text="email, webhook, slack or ping")
    to = models.CharField(max_length=500, help_text="An address, or a URL without its secrets.")
    subject = models.CharField(max_length=300)
    body = models.TextField(help_text="What is sent: a whole mail, or JSON.")
    state = models.CharField(max_length=7, choices=NoticeState.choices, default=NoticeState.WAITING)
    made_at = models.DateTimeField()
    next_try_at = models.DateTimeField(null=True, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    n_tries = models.PositiveIntegerField(default=0)
    via = models.CharField(max_length=255, blank=True, help_text="The server that took it.")
    error = models.CharField(max_length=1000, blank=True)
    talk = models.TextField(blank=True)

    class Meta:
        indexes = [
            # What is still to be sent.
            models.Index(fields=["next_try_at"], name="notice_waiting", condition=Q(state="waiting")),
            # prune, by age
            models.Index(fields=["made_at"], name="notice_made"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} to {self.to}"
