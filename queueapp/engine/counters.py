"""Keep each domain's counters, and the time when it has work due, exact.

Promises: applied in the transaction that changes the rows, in the order of domain ids, so
that two processes wait for each other and never deadlock. `due_at` is never later than the
domain's first waiting delivery, or than the last claim if that left something due: either way
the claim finds it (engine/claim.py).
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from django.db import connection

from queueapp.models.domain import COUNTED

_MOVE = "UPDATE queueapp_recipientdomain SET {} WHERE id = %s".format(
    ", ".join(f"n_{state} = n_{state} + %s" for state in COUNTED)
)
_DUE = """
    UPDATE queueapp_recipientdomain SET due_at = %s
    WHERE id = %s AND (due_at IS NULL OR due_at > %s)
"""
_SET_DUE = "UPDATE queueapp_recipientdomain SET due_at = %s WHERE id = %s"


class Changes:
    """Collects what a batch does to its domains, then writes it at once."""

    def __init__(self) -> None:
        self.moves: dict[int, Counter[str]] = {}
        self.due: dict[int, datetime] = {}
        self.exact_due: dict[int, datetime | None] = {}

    def add(self, domain_id: int, state: str, n: int = 1) -> None:
        """`n` rows of the domain are now in that state; below zero: they left it."""
        self.moves.setdefault(domain_id, Counter())[str(state)] += n

    def move(self, domain_id: int, before: str, after: str, n: int = 1) -> None:
        self.add(domain_id, before, -n)
        self.add(domain_id, after, n)

    def waits_until(self, domain_id: int, at: datetime) -> None:
        """A delivery of the domain waits for `at`."""
        self.due[domain_id] = min(at, self.due.get(domain_id, at))

    def next_due(self, domain_id: int, at: datetime | None) -> None:
        """Nothing of the domain is due before `at`. Only for who holds the domain's lock."""
        self.exact_due[domain_id] = at

    def apply(self) -> None:
        """Write all. Must run inside the transaction of the rows."""
        with connection.cursor() as cursor:
            moves = [
                (*(self.moves[domain][state] for state in COUNTED), domain)
                for domain in sorted(self.moves)
                if any(self.moves[domain].values())
            ]
            if moves:
                cursor.executemany(_MOVE, moves)
            if self.exact_due:
                cursor.executemany(
                    _SET_DUE, [(_stored(at), domain) for domain, at in sorted(self.exact_due.items())]
                )
            if self.due:
                cursor.executemany(
                    _DUE, [(_stored(at), domain, _stored(at)) for domain, at in sorted(self.due.items())]
                )


def _stored(at: datetime | None) -> str | None:
    """As this database wants a time in a raw statement."""
    return connection.ops.adapt_datetimefield_value(at)


def recount(domain_ids: list[int]) -> int:
    """Set the counters of these domains by counting rows; returns how many were wrong.

    A repair for `doctor`, never part of the work: it reads every row of the domains.
    """
    from django.db import transaction
    from django.db.models import Count, Min
    from django.utils import timezone

    from queueapp.models import WAITING, Delivery, RecipientDomain

    n_wrong, now = 0, timezone.now()
    with transaction.atomic():
        domains = list(RecipientDomain.objects.select_for_update().filter(id__in=domain_ids).order_by("id"))
        found: dict[int, Counter[str]] = {}
        rows = Delivery.objects.filter(domain_id__in=domain_ids).values_list("domain_id", "state")
        for domain_id, state, n in rows.annotate(n=Count("id")):
            found.setdefault(domain_id, Counter())[state] = n
        firsts = dict(
            Delivery.objects.filter(domain_id__in=domain_ids, state__in=WAITING)
            .values_list("domain_id")
            .annotate(first=Min("next_attempt_at"))
        )
        for domain in domains:
            right = {f"n_{state}": found.get(domain.pk, Counter())[state] for state in COUNTED}
            right_due = firsts.get(domain.pk)
            late = right_due is not None and (domain.due_at is None or domain.due_at > max(right_due, now))
            if late or any(getattr(domain, name) != n for name, n in right.items()):
                RecipientDomain.objects.filter(pk=domain.pk).update(**right, due_at=right_due)
                n_wrong += 1
    return n_wrong
