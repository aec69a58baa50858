"""Keep each domain's counters, and the time when it has work due, exact.

Promises: applied in the transaction that changes the rows, in the order of domain ids, so
that two processes wait for each other and never deadlock. `due_at` is never later than the
domain's first waiting delivery, or than the last claim if that left something due: either way
the claim finds it (engine/claim.py).
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from queueapp.models.bulk import ManyRows
from queueapp.models.domain import COUNTED


def locked(column: str) -> str:
    """The rows of a ManyRows statement on PostgreSQL as `v`, and the domains that their `column` names as
    `locked`, in the order of ids: an UPDATE alone takes the rows as its plan happens to find them."""
    return f"""
        WITH v AS MATERIALIZED (SELECT * FROM {{rows}}), locked AS MATERIALIZED (
            SELECT id FROM queueapp_recipientdomain WHERE id IN (SELECT {column} FROM v)
            ORDER BY id FOR NO KEY UPDATE
        )"""


_COLUMNS = [f"n_{state}" for state in COUNTED]
_APPLY = ManyRows(
    "id:bigint " + " ".join(f"{name}:integer" for name in _COLUMNS) + " is_exact:boolean at:timestamptz",
    postgresql=locked("id")
    + f"""
        UPDATE queueapp_recipientdomain d SET
            {", ".join(f"{name} = d.{name} + v.{name}" for name in _COLUMNS)},
            due_at = CASE WHEN v.is_exact THEN v.at ELSE LEAST(d.due_at, v.at) END
        FROM v JOIN locked ON locked.id = v.id WHERE d.id = v.id""",
    sqlite=f"""
        UPDATE queueapp_recipientdomain SET
            {", ".join(f"{name} = {name} + ?{place}" for place, name in enumerate(_COLUMNS, 2))},
            due_at = CASE WHEN ?{len(COUNTED) + 2} THEN ?{len(COUNTED) + 3}
                WHEN due_at IS NULL OR due_at > ?{len(COUNTED) + 3} THEN coalesce(?{len(COUNTED) + 3}, due_at)
                ELSE due_at END
        WHERE id = ?1""",
)
_NONE: Counter[str] = Counter()


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
        _APPLY.run([self._row(pk) for pk in sorted({*self.moves, *self.due, *self.exact_due})])

    def _row(self, domain_id: int) -> tuple[object, ...]:
        moves = self.moves.get(domain_id, _NONE)
        is_exact = domain_id in self.exact_due
        times = (self.due.get(domain_id), self.exact_due.get(domain_id))
        at = min((each for each in times if each), default=None)
        return (domain_id, *[moves[state] for state in COUNTED], is_exact, at)


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
            Delivery.objects.filter(domain_id__in=domain_ids, state__among=WAITING)
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
