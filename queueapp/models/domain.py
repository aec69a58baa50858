"""The domain part of a recipient: its counters, its policy, and when it has work due."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import F, Min, Q, Sum

from queueapp.models.site import Site

COUNTED = ("queued", "sending", "deferred", "held", "delivered", "bounced", "expired", "deleted")


class RecipientDomainQuerySet(models.QuerySet["RecipientDomain"]):
    def depth(self) -> dict[str, int]:
        """How many deliveries there are in each state, over these domains."""
        sums = self.aggregate(**{state: Sum(f"n_{state}") for state in COUNTED})
        return {state: sums[state] or 0 for state in COUNTED}

    def clogged_first(self) -> Self:
        """Those with the most open deliveries first."""
        return self.annotate(n_open=F("n_queued") + F("n_sending") + F("n_deferred") + F("n_held")).order_by(
            "-n_open", "name"
        )

    def due(self, now: datetime) -> Self:
        """Those with work that may be claimed now: due, not suspended, within their rate and their site's."""
        site_goes = Q(site__suspended_at__isnull=True) | Q(site__suspended_until__lte=now)
        return (
            self.filter(due_at__lte=now)
            .filter(Q(suspended_at__isnull=True) | Q(suspended_until__lte=now))
            .filter(site_goes)
            .filter(Q(next_at__isnull=True) | Q(next_at__lte=now))
            .filter(Q(site__next_at__isnull=True) | Q(site__next_at__lte=now))
        )

    def claimable_for(self, now: datetime) -> float | None:
        """Seconds that the first one in the line of the claim has waited. None: nothing may be claimed."""
        first = self.due(now).aggregate(first=Min("due_at"))["first"]
        return (now - first).total_seconds() if first else None

    def named(self, name: str) -> RecipientDomain | None:
        """The one of that name as people write it, with its site; None where nobody ever wrote to it."""
        if len(name) > 255 or not name.isprintable():
            return None
        return self.select_related("site").filter(name=name.lower()).first()

    def suspended(self, now: datetime) -> Self:
        return self.filter(suspended_at__isnull=False).filter(
            Q(suspended_until__isnull=True) | Q(suspended_until__gt=now)
        )


class RecipientDomain(models.Model):
    name = models.CharField(max_length=255, unique=True, help_text="Lower case, A-labels.")
    site = models.ForeignKey(Site, models.SET_NULL, null=True, blank=True, related_name="domains")
    site_checked_at = models.DateTimeField(
        null=True, blank=True, help_text="When its MX hosts were last looked up."
    )

    # Exact: changed in the transaction that changes the rows (engine/counters.py).
    n_queued = models.IntegerField(default=0)
    n_sending = models.IntegerField(default=0)
    n_deferred = models.IntegerField(default=0)
    n_held = models.IntegerField(default=0)
    n_delivered = models.IntegerField(default=0)
    n_bounced = models.IntegerField(default=0)
    n_expired = models.IntegerField(default=0)
    n_deleted = models.IntegerField(default=0)

    due_at = models.DateTimeField(
        null=True, blank=True, help_text="No waiting delivery is due before this time. Empty: none waits."
    )
    suspended_at = models.DateTimeField(null=True, blank=True)
    suspended_until = models.DateTimeField(null=True, blank=True)
    suspended_reason = models.CharField(max_length=255, blank=True)
    max_age = models.DurationField(null=True, blank=True)
    retry_first = models.DurationField(null=True, blank=True)
    retry_cap = models.DurationField(null=True, blank=True)
    rate = models.CharField(
        max_length=16, blank=True, help_text="Such as 600/m; `none`: no limit. Empty: MAILWEIR_DOMAIN_RATE."
    )
    route = models.ForeignKey(
        "Route", models.SET_NULL, null=True, blank=True, related_name="+",
        help_text="Chosen for this one; empty: by the patterns of routes.",
    )  # fmt: skip
    next_at = models.DateTimeField(
        null=True, blank=True, help_text="Its rate allows no mail before; nothing is claimed until then."
    )
    slow_rate = models.CharField(
        max_length=16, blank=True, default="", db_default="", help_text="By a rule, until `slow_until`."
    )
    slow_until = models.DateTimeField(null=True, blank=True)

    objects = RecipientDomainQuerySet.as_manager()

    class Meta:
        indexes = [
            # The claim: which domains have work due, longest waiting first.
            models.Index(fields=["due_at"], name="domain_due", condition=Q(due_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return self.name

    def is_suspended(self, now: datetime) -> bool:
        return self.suspended_at is not None and (self.suspended_until is None or self.suspended_until > now)
