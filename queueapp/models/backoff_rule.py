"""Back-off by rule: what is read out of replies, what follows from it, and what follows now.

A rule is data: an administrator can write one, and those that come with Mailweir stand in
engine/rules/shipped.toml. An effect is what a rule does, from when to when; it is kept when it is over.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Self

from django.db import models
from django.db.models import Q


class RuleScope(models.TextChoices):
    """Whom a rule counts and acts on."""

    PAIR = "pair"
    """An egress source at a site."""
    SITE = "site"
    DOMAIN = "domain"
    SENDER = "sender"
    CAMPAIGN = "campaign"
    """A tag `campaign:NAME`."""
    LOGIN = "login"


class RuleAction(models.TextChoices):
    SLOW = "slow"
    SUSPEND = "suspend"
    OTHER_SOURCE = "other_source"
    HOLD_CAMPAIGN = "hold_campaign"
    STOP_SENDER = "stop_sender"


class RuleCondition(models.TextChoices):
    """What a rule looks at."""

    REPLY = "reply"
    FLOOD = "flood"
    LISTING = "listing"


SCOPES_OF: dict[str, tuple[str, ...]] = {
    RuleAction.SLOW: (RuleScope.SITE, RuleScope.DOMAIN),
    RuleAction.SUSPEND: (RuleScope.PAIR, RuleScope.SITE, RuleScope.DOMAIN),
    RuleAction.OTHER_SOURCE: (RuleScope.PAIR,),
    RuleAction.HOLD_CAMPAIGN: (RuleScope.CAMPAIGN,),
    RuleAction.STOP_SENDER: (RuleScope.LOGIN, RuleScope.SENDER),
}
"""Which actions make sense on whom."""
HOLDS = (RuleAction.HOLD_CAMPAIGN, RuleAction.STOP_SENDER)
"""Actions that hold mail, also what comes in."""


class BackoffRule(models.Model):
    key = models.CharField(
        max_length=48, unique=True, null=True, blank=True, help_text="Of one that is shipped; empty: own."
    )
    name = models.CharField(max_length=100, unique=True)
    about = models.CharField(max_length=500, blank=True, help_text="Why, for people.")
    position = models.IntegerField(
        default=100, help_text="Lower is asked first; the first that matches decides."
    )
    is_enabled = models.BooleanField(default=True)
    condition = models.CharField(max_length=8, choices=RuleCondition.choices, default=RuleCondition.REPLY)
    # What a reply must be; all that is given must hold, any of a list does.
    classes = models.JSONField(default=list, blank=True)
    texts = models.JSONField(
        default=list, blank=True, help_text="As in mail/patterns.toml: words, * is anything."
    )
    codes = models.JSONField(default=list, blank=True, help_text='"4", "421" or "421 4.7.28".')
    lines = models.JSONField(default=list, blank=True, help_text="Lines of the classifier that decided.")
    sites = models.JSONField(default=list, blank=True, help_text="Names of sites; empty: all.")
    # So many in such a time; 1: at once.
    n_hits = models.PositiveIntegerField(default=1)
    per = models.DurationField(default=timedelta(hours=1))
    factor = models.FloatField(default=5.0, help_text="Flood: so many times the sender's own usual.")
    scope = models.CharField(max_length=8, choices=RuleScope.choices)
    action = models.CharField(max_length=13, choices=RuleAction.choices)
    rate = models.CharField(max_length=16, blank=True, help_text="Slow: to this rate, such as 60/m.")
    share = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="Slow: to so many percent of what went; `rate` is then the least."
    )
    lasts = models.DurationField(null=True, blank=True, help_text="Empty: until it is lifted.")
    growth = models.FloatField(default=2.0, help_text="Each time in a row lasts so many times as long.")
    cap = models.DurationField(default=timedelta(hours=12))
    made_by = models.CharField(max_length=150, blank=True)
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["position", "id"]

    def __str__(self) -> str:
        return self.name

    @property
    def is_shipped(self) -> bool:
        return self.key is not None


class EffectQuerySet(models.QuerySet["Effect"]):
    def open(self, now: datetime) -> Self:
        """Those that hold."""
        return self.filter(Q(until__isnull=True) | Q(until__gt=now), ended_at__isnull=True)


class Effect(models.Model):
    """What a rule does. `key` says on whom: `pair:SOURCE:SITE` (0: the default source), `site:ID`,
    `domain:ID`, `sender:ADDRESS`, `campaign:TAG`, `login:NAME`."""

    rule = models.ForeignKey(BackoffRule, models.SET_NULL, null=True, blank=True, related_name="effects")
    rule_name = models.CharField(max_length=100)
    action = models.CharField(max_length=13, choices=RuleAction.choices)
    scope = models.CharField(max_length=8, choices=RuleScope.choices)
    key = models.CharField(max_length=560)
    label = models.CharField(max_length=600, help_text="On whom, for people.")
    site = models.ForeignKey("Site", models.CASCADE, null=True, blank=True, related_name="effects")
    source = models.ForeignKey("EgressSource", models.CASCADE, null=True, blank=True, related_name="+")
    domain = models.ForeignKey("RecipientDomain", models.CASCADE, null=True, blank=True, related_name="+")
    value = models.CharField(max_length=512, blank=True, help_text="The sender, the tag, the login.")
    reply_class = models.CharField(max_length=16, blank=True)
    reply = models.CharField(max_length=1000, blank=True, help_text="What set it off.")
    rate = models.CharField(max_length=16, blank=True, help_text="What it is slowed down to.")
    since = models.DateTimeField()
    until = models.DateTimeField(null=True, blank=True, help_text="Empty: until it is lifted.")
    n = models.PositiveIntegerField(default=1, help_text="Times in a row.")
    n_hits = models.PositiveIntegerField(default=1, help_text="What was counted when it began, and since.")
    ended_at = models.DateTimeField(null=True, blank=True)
    lifted_at = models.DateTimeField(null=True, blank=True)
    lifted_by = models.CharField(max_length=150, blank=True)
    # Of one that holds mail (engine/rules/gathering.py).
    hold_rule = models.ForeignKey("HoldRule", models.SET_NULL, null=True, blank=True, related_name="+")
    below = models.BigIntegerField(
        null=True, blank=True, help_text="What waits is held down from this delivery; empty: done."
    )
    n_passes = models.PositiveSmallIntegerField(default=0)
    n_held = models.PositiveIntegerField(default=0, help_text="Deliveries that waited, and were held.")
    owner_to = models.CharField(max_length=320, blank=True, help_text="Whom to tell of a sender's stop.")

    objects = EffectQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["action", "key"], condition=Q(ended_at__isnull=True), name="effect_open_once"
            )
        ]
        indexes = [
            # What held on the same before, and the list of those that are over.
            models.Index(fields=["key", "-id"], name="effect_key"),
            # prune, by age
            models.Index(fields=["ended_at"], name="effect_ended", condition=Q(ended_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.label}"

    def is_open(self, now: datetime) -> bool:
        return self.ended_at is None and (self.until is None or self.until > now)


class RuleCount(models.Model):
    """How often a rule matched on one key in a slice of its time: runners add up here."""

    rule = models.ForeignKey(BackoffRule, models.CASCADE, related_name="+", db_index=False)
    key = models.CharField(max_length=560)
    at = models.DateTimeField(help_text="The slice's begin.")
    n = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["rule", "key", "at"], name="rule_count_once")]
        indexes = [
            # prune, by age
            models.Index(fields=["at"], name="rule_count_at"),
        ]

    def __str__(self) -> str:
        return f"{self.n} of {self.key}"


class SenderMinute(models.Model):
    """How many deliveries a login or sender handed in within a minute; key as of an Effect."""

    key = models.CharField(max_length=560)
    at = models.DateTimeField()
    n = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["key", "at"], name="sender_minute_once")]
        indexes = [
            # The look for floods, and prune.
            models.Index(fields=["at"], name="sender_minute_at"),
        ]

    def __str__(self) -> str:
        return f"{self.n} of {self.key}"


class SenderUsual(models.Model):
    """What a login or sender hands in when it is busy: the most in a minute and in an hour. It fades by
    half in thirty days, so that a newsletter once a month is still usual."""

    key = models.CharField(max_length=560, unique=True)
    most_minute = models.FloatField(default=0)
    most_hour = models.FloatField(default=0)
    seen_at = models.DateTimeField(help_text="Of which time it is.")

    class Meta:
        indexes = [
            # prune, by age
            models.Index(fields=["seen_at"], name="sender_usual_seen"),
        ]

    def __str__(self) -> str:
        return self.key
