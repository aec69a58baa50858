"""Lines of the classifier that an administrator added, their trials, and how often each line decided.

A line is a row; which lines count is told by `ReplyRule.objects.lines()` alone. Runners look at the revision
REPLY_RULES, which grows with each change, and read the rows only then (engine/own_lines.py).
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from typing import Any

from django.db import models

from queueapp.mail.patterns import Pattern
from queueapp.mail.providers import PROVIDERS

# What a reply can mean: not what we decide by ourselves, nor that all is well.
OWN_CLASSES = (
    "greylisted", "rate_limited", "busy", "connection", "dns", "tls", "mailbox_full", "no_such_user",
    "no_such_domain", "blocklisted", "authentication", "content", "policy", "too_large", "protocol", "other",
)  # fmt: skip
DECIDING = ("reply_class", "texts", "codes", "stage", "delay", "provider", "site")


def line_of(spec: dict[str, Any]) -> Pattern:
    """The line of such values: those of DECIDING, and `name`."""
    provider = PROVIDERS.get(spec["provider"])
    hosts = provider.hosts if provider else (spec["site"],) if spec["site"] else ()
    return Pattern(
        name=spec["name"],
        reply_class=spec["reply_class"],
        phrases=tuple(spec["texts"]),
        example="",
        codes=tuple(spec["codes"]),
        stage=spec["stage"],
        provider=spec["provider"],
        delay=spec["delay"],
        hosts=hosts,
        is_own=True,
    )


def digest_of(spec: dict[str, Any]) -> str:
    """The same for lines that decide alike, whatever they are called."""
    told = json.dumps({name: spec[name] for name in DECIDING}, sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()


class ReplyRuleQuerySet(models.QuerySet["ReplyRule"]):
    def lines(self) -> tuple[Pattern, ...]:
        """Those that count, in the order in which they are asked."""
        return tuple(row.line for row in self.filter(is_on=True).order_by("position", "name"))


class ReplyRule(models.Model):
    name = models.CharField(max_length=48, unique=True, help_text="As `own:name` in the rule of an attempt.")
    position = models.PositiveSmallIntegerField(default=100, help_text="The lowest is asked first.")
    reply_class = models.CharField(max_length=16)
    texts = models.JSONField(default=list, help_text="Any of these must occur: lower case, * is anything.")
    codes = models.JSONField(default=list, help_text="Beginnings of replies: 4, 421, 550 5.4.1.")
    stage = models.CharField(max_length=10, blank=True)
    delay = models.PositiveIntegerField(
        null=True, blank=True, help_text="Seconds to wait where the reply itself names no time."
    )
    provider = models.CharField(max_length=32, blank=True, help_text="Only for this provider's MX hosts.")
    site = models.CharField(max_length=255, blank=True, help_text="Only for MX hosts in this domain.")
    note = models.CharField(max_length=200, blank=True)
    is_on = models.BooleanField(default=False)
    made_by = models.CharField(max_length=150)
    made_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(auto_now=True)

    objects = ReplyRuleQuerySet.as_manager()

    def __str__(self) -> str:
        return f"own:{self.name}"

    @property
    def spec(self) -> dict[str, Any]:
        return {"name": self.name, **{name: getattr(self, name) for name in DECIDING}}

    @property
    def line(self) -> Pattern:
        return line_of(self.spec)


class ReplyTrial(models.Model):
    """What a line would have decided of the last day's attempts: looked through newest first, in slices
    (stats/trials.py). From `reached` on all is looked at; `first` is the oldest of the day."""

    line = models.JSONField(help_text="The line as it was tried.")
    digest = models.CharField(max_length=64, db_index=True)
    asked_by = models.CharField(max_length=150)
    asked_at = models.DateTimeField()
    since = models.DateTimeField(help_text="The day that is looked at begins here.")
    first = models.BigIntegerField()
    reached = models.BigIntegerField()
    reached_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    n_looked = models.PositiveBigIntegerField(default=0)
    n_decided = models.PositiveBigIntegerField(default=0)
    changes = models.JSONField(default=list, help_text="[[class it had, class it gets, n], …]")
    groups = models.JSONField(default=list, help_text="Grouped examples, the largest first.")

    def __str__(self) -> str:
        return f"trial {self.pk} of own:{self.line.get('name')}"

    @property
    def is_done(self) -> bool:
        return self.ended_at is not None

    @property
    def counts(self) -> bool:
        """Whether it tells enough to switch the line on: it saw something, or there was nothing to see."""
        return self.is_done or self.n_looked > 0


class RuleHour(models.Model):
    """How many attempts a line decided in an hour; made in the background (stats/outcomes.py)."""

    at = models.DateTimeField(help_text="The hour's start, UTC.")
    rule = models.CharField(max_length=64)
    n = models.PositiveBigIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["at", "rule"], name="rule_hour_once")]

    def __str__(self) -> str:
        return f"{self.at:%F %R} {self.rule}"


def decided_since(since: datetime, rule: str = "") -> dict[str, int]:
    """Line to how many attempts it decided, of the hours from then on: a few hundred rows an hour at most."""
    rows = RuleHour.objects.filter(at__gte=since, **({"rule": rule} if rule else {}))
    return dict(rows.values_list("rule").annotate(sum=models.Sum("n")).order_by())
