"""Our addresses and domains on public blocklists: what the last checks said, and how that changed.

Written by queueapp/watch/blocklists alone (and `asked_at` with `next_check_at` by the action "check now").
Read by pages, alerts and rules through the querysets below, which say what counts.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Self

from django.db import models
from django.db.models import F, Q

NAMED_FOR = timedelta(days=1)
"""So long after the last reply that named a list it counts as evidence."""


class ListingKind(models.TextChoices):
    IP4 = "ip4"
    IP6 = "ip6"
    DOMAIN = "domain"


class ListingState(models.TextChoices):
    LISTED = "listed"
    CLEAN = "clean"
    UNKNOWN = "unknown"
    """No answer (yet): a time-out, a name server that fails, or what is not checked."""
    ERROR = "error"
    """An answer that can't count: the list is dead, lists everything, or refuses us."""


class ListingQuerySet(models.QuerySet["Listing"]):
    def current(self) -> Self:
        """Of what is ours now, on lists that are looked at."""
        return self.filter(is_current=True)

    def confirmed(self) -> Self:
        """What alerts and rules go by: on the list by two answers that agree."""
        return self.current().filter(state=ListingState.LISTED, is_confirmed=True)

    def named(self, now: datetime) -> Self:
        """A receiver named this list a short while ago, whatever DNS says."""
        return self.current().filter(named_at__gt=now - NAMED_FOR)

    def hurting(self, now: datetime) -> Self:
        """Confirmed, or named by a receiver: what people should see in red."""
        listed = Q(state=ListingState.LISTED, is_confirmed=True)
        return self.current().filter(listed | Q(named_at__gt=now - NAMED_FOR))

    def due(self, now: datetime, far: timedelta) -> Self:
        """To be checked now, what somebody waits for first. Later than `far`: a clock was set back."""
        late = Q(next_check_at__lte=now) | Q(next_check_at__gt=now + far)
        return self.current().filter(late).order_by(F("asked_at").asc(nulls_last=True), "next_check_at", "pk")


class Listing(models.Model):
    """One of our addresses or domains (`target`) on one list (`list_name`, as in lists.toml).

    `state` is what holds: a listing is shown with the first answer, counts (`is_confirmed`) from the second
    that agrees, and is over with the second clean one; meanwhile `doubted_at` is set. An answer that fails
    changes nothing of a confirmed listing for a day, but stands in `error`. `since`: when the state began.
    `severity`: "danger" where receivers refuse mail for it, "warning" where they count it against us, "info"
    where hardly anybody looks; empty unless listed. `meaning` is what the codes mean, in our words; `reason`
    is the list's own text and `error` may quote a name server: both a stranger's, cleaned and bounded.
    `named_…`: receivers whose replies named this list (`n_named` times since `named_since`, last `named_at`,
    such as `named_reply` by `named_by`). Evidence of its own, which confirms nothing.
    `next_check_at` empty: it is not checked, and `error` says why. `is_current` false: no longer ours, or a
    list that nobody chose; such rows count for nothing, and are removed after a while.
    """

    list_name = models.CharField(max_length=64)
    target = models.CharField(
        max_length=255, help_text="An IP address, or a domain as A-labels in lower case."
    )
    kind = models.CharField(max_length=6, choices=ListingKind.choices)
    state = models.CharField(max_length=7, choices=ListingState.choices, default=ListingState.UNKNOWN)
    is_confirmed = models.BooleanField(default=False, help_text="By two answers that agree.")
    since = models.DateTimeField(help_text="When the state began.")
    confirmed_at = models.DateTimeField(null=True, blank=True)
    doubted_at = models.DateTimeField(
        null=True, blank=True, help_text="Listed, but the last answer was clean."
    )
    answered_at = models.DateTimeField(null=True, blank=True, help_text="The last answer that counted.")
    checked_at = models.DateTimeField(null=True, blank=True)
    next_check_at = models.DateTimeField(null=True, blank=True)
    asked_at = models.DateTimeField(null=True, blank=True, help_text="Somebody waits for a check.")
    codes = models.JSONField(default=list, help_text="The answers, such as 127.0.0.2.")
    meaning = models.CharField(max_length=500, blank=True)
    severity = models.CharField(max_length=7, blank=True)
    reason = models.CharField(max_length=1000, blank=True)
    error = models.CharField(max_length=500, blank=True)
    n_named = models.PositiveIntegerField(default=0)
    named_since = models.DateTimeField(null=True, blank=True)
    named_at = models.DateTimeField(null=True, blank=True)
    named_reply = models.CharField(max_length=1000, blank=True)
    named_by = models.CharField(max_length=255, blank=True)
    told = models.CharField(
        max_length=7, default=ListingState.UNKNOWN, help_text="The last state in the history."
    )
    is_current = models.BooleanField(default=True)

    objects = ListingQuerySet.as_manager()

    class Meta:
        constraints = [
            # Also the look-up of all lists of a target.
            models.UniqueConstraint(fields=["target", "list_name"], name="listing_once"),
            models.CheckConstraint(condition=Q(state__in=ListingState.values), name="listing_state_known"),
            models.CheckConstraint(condition=Q(kind__in=ListingKind.values), name="listing_kind_known"),
        ]
        indexes = [
            # The next checks.
            models.Index(
                fields=["next_check_at"],
                name="listing_due",
                condition=Q(next_check_at__isnull=False, is_current=True),
            ),
            # What is listed: the snapshot of the pages, alerts, rules.
            models.Index(fields=["since"], name="listing_listed", condition=Q(state=ListingState.LISTED)),
            # What receivers named lately.
            models.Index(fields=["named_at"], name="listing_named", condition=Q(named_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.target} on {self.list_name}: {self.state}"

    def is_named(self, now: datetime) -> bool:
        return self.named_at is not None and self.named_at > now - NAMED_FOR


class ListingChange(models.Model):
    """What became of a listing: rows are only added, where `state` was confirmed or `named` began."""

    listing = models.ForeignKey(Listing, models.CASCADE, related_name="changes")
    at = models.DateTimeField()
    was = models.CharField(max_length=7, help_text="The state before.")
    state = models.CharField(
        max_length=7, help_text="listed, clean, unknown, error; or named, by a receiver."
    )
    detail = models.CharField(max_length=1000, blank=True, help_text="Meaning and reason, or the error.")

    class Meta:
        # `prune` by age.
        indexes = [models.Index(fields=["at"], name="listing_change_at")]

    def __str__(self) -> str:
        return f"{self.was} to {self.state} at {self.at:%F %R}"


class BlocklistTest(models.Model):
    """Whether a list's answers count: its test entries (RFC 5782 section 5), by kind of target."""

    list_name = models.CharField(max_length=64)
    kind = models.CharField(max_length=6, choices=ListingKind.choices)
    result = models.CharField(max_length=7, help_text="ok, error or unknown")
    error = models.CharField(max_length=500, blank=True)
    tested_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["list_name", "kind"], name="blocklist_test_once")]

    def __str__(self) -> str:
        return f"{self.list_name} for {self.kind}: {self.result}"
