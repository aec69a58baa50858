"""A bulk action in the background: a frozen set of deliveries, what became of each, and how to undo it.

The set is kept in chunks of a few thousand ids each, as text: half a million ids are 250 rows and a few
megabytes, written by one statement in the request that confirms. A chunk is done in one transaction,
which notes in the same row what was done (by what it was before, so that it can be undone) and what was
left alone and why. So a run that is killed goes on behind its last chunk and does nothing twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import F, Q

from queueapp.models.domain import RecipientDomain
from queueapp.models.site import Site


class OperationState(models.TextChoices):
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"
    UNDONE = "undone"


class OperationQuerySet(models.QuerySet["Operation"]):
    def open(self) -> Self:
        """Those with work left, oldest first."""
        return self.filter(state__in=(OperationState.WAITING, OperationState.RUNNING)).order_by("id")


class Operation(models.Model):
    """`action` is a verb of engine/actions.py, or `undo`."""

    State = OperationState

    action = models.CharField(max_length=10)
    state = models.CharField(max_length=9, choices=OperationState.choices, default=OperationState.WAITING)
    actor = models.CharField(max_length=150)
    origin = models.CharField(max_length=64, blank=True)
    q = models.CharField(max_length=2000, blank=True, help_text="The search; empty with chosen rows too.")
    is_chosen = models.BooleanField(default=False, help_text="The rows were named one by one.")
    reason = models.CharField(max_length=200, blank=True)
    arguments = models.JSONField(default=dict, blank=True)
    token = models.CharField(max_length=64, blank=True, help_text="The same request again is not done again.")
    n_matched = models.PositiveIntegerField(default=0, help_text="How many rows were frozen.")
    n_done = models.PositiveIntegerField(default=0)
    n_skipped = models.PositiveIntegerField(default=0)
    n_failed = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    undo_until = models.DateTimeField(null=True, blank=True)
    cancelled_by = models.CharField(max_length=150, blank=True)
    note = models.CharField(max_length=1000, blank=True, help_text="What people must know of its end.")
    planned_at = models.DateTimeField(
        null=True, blank=True, help_text="A retry: its rows were counted by site."
    )
    undo_of = models.OneToOneField("self", models.SET_NULL, null=True, blank=True, related_name="undone_by")

    objects = OperationQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["actor", "token"], name="operation_once", condition=~Q(token="")),
        ]
        indexes = [
            # Those with work left: the worker, the sweep and the snapshot look for them.
            models.Index(
                fields=["id"],
                name="operation_open",
                condition=Q(state__in=(OperationState.WAITING, OperationState.RUNNING)),
            ),
            # Prune, and what ended a moment ago for the pages.
            models.Index(fields=["ended_at"], name="operation_ended"),
        ]

    def __str__(self) -> str:
        return f"operation {self.pk}: {self.action}"

    @property
    def is_open(self) -> bool:
        return self.state in (OperationState.WAITING, OperationState.RUNNING)

    @property
    def n_seen(self) -> int:
        """How many of its rows were looked at."""
        return self.n_done + self.n_skipped + self.n_failed

    def may_be_undone(self, now: datetime) -> bool:
        return (
            not self.is_open
            and self.state != OperationState.UNDONE
            and self.undo_until is not None
            and self.undo_until > now
            and self.n_done > 0
            and not hasattr(self, "undone_by")
        )


class OperationChunkQuerySet(models.QuerySet["OperationChunk"]):
    def left(self) -> Self:
        return self.filter(done_at__isnull=True).order_by("number")

    def due(self, now: datetime) -> Self:
        return self.left().filter(Q(again_at__isnull=True) | Q(again_at__lte=now))


class OperationChunk(models.Model):
    """A part of the frozen set. `before` and `left` map a key to ids, each as text like `ids`."""

    operation = models.ForeignKey(Operation, models.CASCADE, related_name="chunks", db_index=False)
    number = models.PositiveIntegerField()
    ids = models.TextField(blank=True, help_text="Ids of deliveries, joined by commas.")
    n = models.PositiveIntegerField()
    of = models.PositiveIntegerField(
        null=True, blank=True, help_text="To undo: the number of that chunk; without `ids` all that it did."
    )
    n_tries = models.PositiveSmallIntegerField(default=0, help_text="How often its rows were found in use.")
    again_at = models.DateTimeField(null=True, blank=True, help_text="Not before.")
    done_at = models.DateTimeField(null=True, blank=True)
    n_done = models.PositiveIntegerField(default=0)
    before = models.JSONField(default=dict, blank=True, help_text="What was done, by what it was before.")
    left = models.JSONField(default=dict, blank=True, help_text="What was left alone, by the reason.")

    objects = OperationChunkQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["operation", "number"], name="operation_chunk_once")]
        indexes = [
            # The next chunk that is to be done.
            models.Index(
                fields=["operation", "number"], name="operation_chunk_left", condition=Q(done_at__isnull=True)
            ),
        ]

    def __str__(self) -> str:
        return f"chunk {self.number} of operation {self.operation_id}"


def joined(ids: Iterable[int]) -> str:
    return ",".join(map(str, ids))


def parted(text: str) -> list[int]:
    """Ids in ascending order."""
    return sorted(map(int, text.split(","))) if text else []


class OperationSiteQuerySet(models.QuerySet["OperationSite"]):
    def undecided(self) -> Self:
        return self.filter(verdict="")


class OperationSite(models.Model):
    """How a retry treats one receiver: how long its rows are spread, and the one that is tried first."""

    class Verdict(models.TextChoices):
        GOES = "goes"
        """The first mail arrived, or none had to be tried first."""
        LATE = "late"
        """The first mail had no outcome in time; the rest is let go."""
        FAILED = "failed"
        """The first mail failed again; the rest stays as it was."""
        LET = "let"
        """A person let the rest go without waiting."""
        STOPPED = "stop"
        """A person stopped it; what was not due yet stays as it was."""

    operation = models.ForeignKey(Operation, models.CASCADE, related_name="sites", db_index=False)
    site = models.ForeignKey(Site, models.CASCADE, null=True, blank=True, related_name="+", db_index=False)
    domain = models.ForeignKey(
        RecipientDomain, models.CASCADE, null=True, blank=True, related_name="+", db_index=False,
        help_text="Where its site is not known yet.",
    )  # fmt: skip
    n = models.PositiveIntegerField()
    spread = models.FloatField(default=0.0, help_text="Seconds over which its rows become due.")
    first_id = models.BigIntegerField(null=True, blank=True, help_text="The delivery that is tried first.")
    first_n = models.PositiveIntegerField(default=0, help_text="How often that one had been tried before.")
    first_at = models.DateTimeField(null=True, blank=True, help_text="When the first one was made due.")
    verdict = models.CharField(max_length=6, choices=Verdict.choices, blank=True)
    told = models.CharField(max_length=1000, blank=True, help_text="What the receiver said to the first.")

    objects = OperationSiteQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(F("operation"), F("id"), name="operation_site_of")]

    def __str__(self) -> str:
        return f"operation {self.operation_id} at {self.site or self.domain}"
