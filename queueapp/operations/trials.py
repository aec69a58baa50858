"""The mail that a retry tries first at each receiver: which it is, what came of it, and what a person decides
instead of waiting for it.

Promises: a decision counts for what was not made due yet, and only while the operation is open; the run and a
person never undo what the other decided at the same moment. Each leaves an audit row, a refused one too.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import QuerySet

from queueapp import events
from queueapp.access.change import Actor, Missing, Taken, allow, audited, known
from queueapp.models import Delivery, Operation, OperationSite
from queueapp.operations import paced
from queueapp.operations.actions import named
from queueapp.operations.asked import SCOPE
from queueapp.operations.wake import wake

MOST = 100
Verdict = OperationSite.Verdict


@dataclass(frozen=True, slots=True)
class Trial:
    """`state`: not_tried, trying, or a verdict. `until`: when the rest goes without an outcome."""

    id: int
    receiver: str
    n: int
    state: str
    delivery: Delivery | None
    reply: str
    since: datetime | None
    until: datetime | None
    may_go: bool
    may_stop: bool


def trials(row: Operation) -> list[Trial]:
    """Those of an operation that tries mail first, receivers with the most mail first."""
    found = list(_of(row).order_by("-n", "id")[:MOST])
    firsts = Delivery.objects.select_related("message").in_bulk([each.first_id or 0 for each in found])
    return [_trial(row, each, firsts.get(each.first_id or 0)) for each in found]


def n_trials(row: Operation) -> int:
    return _of(row).count()


def go_on(actor: Actor, operation_id: int, pk: int) -> Operation:
    """The rest of that receiver goes, whatever came or comes of the first mail. Raises AccessError."""
    return _decide(
        actor, "operation.go_on", operation_id, pk, Verdict.LET, ("", Verdict.FAILED, Verdict.STOPPED)
    )


def stop(actor: Actor, operation_id: int, pk: int) -> Operation:
    """What is not due yet of that receiver stays as it was. Raises AccessError."""
    open_ones = ("", Verdict.GOES, Verdict.LATE, Verdict.LET)
    return _decide(actor, "operation.stop_site", operation_id, pk, Verdict.STOPPED, open_ones)


def _decide(
    actor: Actor, action: str, operation_id: int, pk: int, verdict: str, before: tuple[str, ...]
) -> Operation:
    # Who may not is told so, and nothing of which operations there are.
    allow(actor, SCOPE, action, f"operation {operation_id}", {"operation": known(operation_id)})
    row = named(operation_id)
    each = _of(row).filter(pk=known(pk)).first()
    if each is None:
        raise Missing(f"Operation {row.pk} has no receiver {pk}.")
    if not row.is_open:
        raise Taken(f"Operation {row.pk} is {row.state} already: there is nothing left to decide.")
    with audited(actor, SCOPE, action, f"{row} at {_receiver(each)}") as detail:
        detail |= {"operation": row.pk, "receiver": _receiver(each), "before": each.verdict, "n": each.n}
        if not OperationSite.objects.filter(pk=each.pk, verdict__in=before).update(verdict=verdict):
            raise Taken(f"That is decided already for {_receiver(each)}: look again.")
        events.publish("operations", operation=row.pk)
        wake()
    return row


def _of(row: Operation) -> QuerySet[OperationSite]:
    rows = OperationSite.objects.filter(operation=row).select_related("site", "domain")
    return rows.exclude(first_id=None, verdict=Verdict.GOES)


def _trial(row: Operation, each: OperationSite, first: Delivery | None) -> Trial:
    state = each.verdict or ("trying" if each.first_at else "not_tried")
    is_waiting = not each.verdict and each.first_at is not None
    return Trial(
        id=each.pk,
        receiver=_receiver(each),
        n=each.n,
        state=state,
        delivery=first,
        reply=each.told or (first.last_reply if first and each.verdict else ""),
        since=each.first_at,
        until=each.first_at + paced.PATIENCE if is_waiting and each.first_at else None,
        may_go=row.is_open and each.verdict in ("", Verdict.FAILED, Verdict.STOPPED),
        may_stop=row.is_open and each.verdict not in (Verdict.FAILED, Verdict.STOPPED),
    )


def _receiver(each: OperationSite) -> str:
    return str(each.site or each.domain)
