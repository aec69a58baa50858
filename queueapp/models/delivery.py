"""One message to one recipient: the row that has the state."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import F, Q

from queueapp.models import lookups  # noqa: F401  registers `among`
from queueapp.models.domain import RecipientDomain
from queueapp.models.message import Message


class State(models.TextChoices):
    QUEUED = "queued"
    SENDING = "sending"
    DEFERRED = "deferred"
    HELD = "held"
    DELIVERED = "delivered"
    BOUNCED = "bounced"
    EXPIRED = "expired"
    DELETED = "deleted"


WAITING = (State.QUEUED, State.DEFERRED)
OPEN = (State.QUEUED, State.SENDING, State.DEFERRED, State.HELD)
FINAL = (State.DELIVERED, State.BOUNCED, State.EXPIRED, State.DELETED)
UNSENT = (State.DEFERRED, State.HELD, State.BOUNCED, State.EXPIRED, State.DELETED)
UNTROUBLED = ("", "delivered")  # classes of mail that meets no trouble
OFTEN = 2  # attempts


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    def waiting(self) -> Self:
        """Those that a runner may claim now or later."""
        return self.filter(state__among=WAITING)

    def due(self, now: datetime) -> Self:
        """Those that a runner may claim at `now`."""
        return self.waiting().filter(next_attempt_at__lte=now)

    def ambiguous(self) -> Self:
        """Those that may have arrived although no reply was read: a repeat is possible (promise 2)."""
        return self.filter(is_ambiguous=True)

    def matching(self, text: str, now: datetime | None = None) -> Self:
        """Those that the search grammar selects. Raises GrammarError with the place of the mistake."""
        from queueapp.models.matching import condition

        return self.filter(condition(text, now))


class Delivery(models.Model):
    message = models.ForeignKey(Message, models.CASCADE, related_name="deliveries")
    recipient = models.CharField(max_length=512)
    domain = models.ForeignKey(RecipientDomain, models.PROTECT, related_name="deliveries", db_index=False)
    state = models.CharField(max_length=9, choices=State.choices, default=State.QUEUED)
    priority = models.PositiveSmallIntegerField(default=5)
    accepted_at = models.DateTimeField()
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(help_text="When we give up.")
    n_attempts = models.PositiveIntegerField(default=0)
    n_reaped = models.PositiveSmallIntegerField(default=0, help_text="How often its runner died under it.")
    runner_id = models.BigIntegerField(
        null=True, blank=True, help_text="The claim's token: who may write its outcome."
    )
    last_attempt_at = models.DateTimeField(null=True, blank=True)
    last_class = models.CharField(max_length=16, blank=True)
    last_code = models.PositiveSmallIntegerField(null=True, blank=True)
    last_enhanced = models.CharField(max_length=16, blank=True)
    last_text = models.CharField(max_length=1000, blank=True)
    last_host = models.CharField(max_length=255, blank=True)
    is_ambiguous = models.BooleanField(default=False)
    is_warned = models.BooleanField(default=False, help_text="The sender was told of the delay.")
    hold_reason = models.CharField(max_length=255, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    operation_id = models.BigIntegerField(
        null=True,
        blank=True,
        help_text="The last operation that changed it: an undo looks for it.",
    )
    # Without a constraint of the database, which would look at each delivery that is accepted.
    route = models.ForeignKey(
        "Route", models.DO_NOTHING, null=True, blank=True, db_constraint=False, db_index=False,
        related_name="+", help_text="Chosen for this one; empty: as its domain goes.",
    )  # fmt: skip

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "deliveries"
        constraints = [
            models.CheckConstraint(condition=Q(state__in=State.values), name="delivery_state_known"),
        ]
        indexes = [
            # The claim: the due rows of one domain, priority first (engine/claim.py). With `accepted_at` at
            # its end, which costs the claim nothing, ages are counted without the rows (stats/ages.py).
            models.Index(
                F("domain"),
                F("priority").desc(),
                F("next_attempt_at"),
                F("accepted_at"),
                name="delivery_claim",
                condition=Q(state__in=WAITING),
            ),
            # Oldest due, retries due in the next hour, `next<10m`. Not by time alone: then a planner may
            # walk all that is due in the order of time, to find what the claim wants of one domain.
            models.Index(
                fields=["state", "next_attempt_at"], name="delivery_waiting", condition=Q(state__in=WAITING)
            ),
            # The reaper: what a dead runner held.
            models.Index(fields=["runner_id"], name="delivery_sending", condition=Q(state=State.SENDING)),
            # Searches and sorts, newest first. Mail that goes straight through is in none of these.
            models.Index(fields=["state", "-id"], name="delivery_unsent", condition=Q(state__in=UNSENT)),
            models.Index(
                fields=["last_class", "-id"], name="delivery_class", condition=~Q(last_class__in=UNTROUBLED)
            ),
            models.Index(
                fields=["-n_attempts", "-id"], name="delivery_often", condition=Q(n_attempts__gte=OFTEN)
            ),
            models.Index(fields=["-id"], name="delivery_ambiguous", condition=Q(is_ambiguous=True)),
            # `route:`, and whether a route is in use.
            models.Index(fields=["route", "-id"], name="delivery_route", condition=Q(route__isnull=False)),
            # `prune`: what finished before a date.
            models.Index(fields=["finished_at"], name="delivery_finished", condition=Q(state__in=FINAL)),
            # `domain:` in the search grammar, newest first.
            models.Index(fields=["domain", "-id"], name="delivery_domain"),
        ]

    def __str__(self) -> str:
        return f"delivery {self.pk} to {self.recipient}"

    @property
    def is_final(self) -> bool:
        return self.state in FINAL

    @property
    def last_reply(self) -> str:
        """The last reply in one line, as the receiver gave it."""
        parts = (str(self.last_code or ""), self.last_enhanced, self.last_text)
        return " ".join(part for part in parts if part)
