"""Remove what is finished and past its retention, in batches that nobody notices.

Promises: the domains' counters stay exact, for they change in the transaction that removes the
rows; a delivery that became live again meanwhile stays; a message goes with its last delivery and
never before. Each call is one short transaction: whoever has much to remove calls again. Minutes are
kept until hours are made of them; the totals of those that go are kept in one row at TOTALS_AT, so that
counters never run backwards.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django.db import transaction
from django.db.models import Q, Sum

from queueapp import conf
from queueapp.engine.counters import Changes
from queueapp.engine.rules import forgetting
from queueapp.models import (
    EVERY_DOMAIN,
    FINAL,
    AuditCut,
    AuditEvent,
    Delivery,
    Hour,
    IdempotencyKey,
    Message,
    Minute,
    MtaStsPolicy,
    Operation,
    OperationChunk,
    OutcomeSlot,
    RuleHour,
    Runner,
    SourceDay,
    State,
)
from queueapp.models.minute import TOTALS_AT
from queueapp.stats import METRICS, rollups, totals

KEEP_DELETED = timedelta(hours=24)
KEEP_MINUTES = timedelta(days=40)
KEEP_HOURS = timedelta(days=400)
KEEP_SLOTS = timedelta(days=40)
KEEP_RULE_HOURS = timedelta(days=40)
KEEP_IDEMPOTENCY = timedelta(hours=24)
KEEP_RUNNERS = timedelta(days=7)
# Nobody wrote to that domain for so long.
KEEP_POLICIES = timedelta(days=90)
KEEP_SOURCE_DAYS = timedelta(days=40)
KEEP_OPERATIONS = timedelta(days=90)
_SOME_OPERATIONS = 20  # each may have hundreds of chunks


def prune(older_than: datetime, batch: int = 500) -> int:
    """Remove at most `batch` deliveries that finished before `older_than`; deleted ones stay 24 hours only.

    Returns how many are gone; less than `batch` means that no more were there.
    """
    with transaction.atomic():
        rows = _locked(older_than, batch)
        if rows:
            _remove(rows)
    return len(rows)


def _locked(older_than: datetime, batch: int) -> list[tuple[int, int, int, str]]:
    """(id, message, domain, state) of rows that are ours until the end of the transaction."""
    in_bin = Q(state=State.DELETED, finished_at__lt=max(older_than, datetime.now(UTC) - KEEP_DELETED))
    past = Q(state__in=FINAL) & (Q(finished_at__lt=older_than) | in_bin)
    ids = list(Delivery.objects.filter(past).order_by("finished_at").values_list("id", flat=True)[:batch])
    # Ids first: with a lock and a limit in one query PostgreSQL locks rows that no longer match.
    live = Delivery.objects.filter(past, id__in=ids).select_for_update(skip_locked=True).order_by("id")
    return list(live.values_list("id", "message_id", "domain_id", "state"))


def _remove(rows: list[tuple[int, int, int, str]]) -> None:
    ids = [row[0] for row in rows]
    message_ids = sorted({row[1] for row in rows})
    # Two that prune one message's deliveries at once must not each take the other's for the last.
    list(Message.objects.select_for_update().filter(id__in=message_ids).order_by("id").values_list("id"))
    Delivery.objects.filter(id__in=ids).delete()
    left = set(Delivery.objects.filter(message_id__in=message_ids).values_list("message_id", flat=True))
    gone = [pk for pk in message_ids if pk not in left]
    Message.objects.filter(id__in=gone).delete()
    changes = Changes()
    for _, _, domain_id, state in rows:
        changes.add(domain_id, state, -1)
    changes.apply()


def prune_records(now: datetime, batch: int = 500) -> dict[str, int]:
    """Remove at most `batch` rows each of old minutes, hours, slots of outcomes, idempotency keys, runners,
    TLS policies, operations, days of warm-ups, of the audit, and of what rules did and counted."""
    keys = IdempotencyKey.objects.filter(created_at__lt=now - KEEP_IDEMPOTENCY)
    policies = MtaStsPolicy.objects.filter(check_at__lt=now - KEEP_POLICIES)
    runners = Runner.objects.filter(ended_at__lt=now - KEEP_RUNNERS)
    days = SourceDay.objects.filter(day__lt=(now - KEEP_SOURCE_DAYS).date())
    hours = Hour.objects.filter(at__lt=min(now - KEEP_HOURS, rollups.until(rollups.DAYS) or now))
    decided = RuleHour.objects.filter(at__lt=now - KEEP_RULE_HOURS)
    slots = OutcomeSlot.objects.filter(at__gt=TOTALS_AT, at__lt=now - KEEP_SLOTS)
    return {
        "minutes": _prune_minutes(_minutes_until(now), batch),
        "idempotency keys": _delete(keys.values_list("id", flat=True)[:batch], IdempotencyKey),
        "runners": _delete(runners.values_list("id", flat=True)[:batch], Runner),
        "TLS policies": _delete(policies.values_list("id", flat=True)[:batch], MtaStsPolicy),
        "hours": _delete(hours.values_list("id", flat=True)[:batch], Hour),
        "slots of outcomes": _delete(slots.values_list("id", flat=True)[:batch], OutcomeSlot),
        "hours of lines": _delete(decided.values_list("id", flat=True)[:batch], RuleHour),
        "operations": _prune_operations(now - KEEP_OPERATIONS, batch),
        "audit rows": _prune_audit(now - conf.current().audit_retention, batch),
        "days of warm-ups": _delete(days.values_list("id", flat=True)[:batch], SourceDay),
        **forgetting.prune(now, batch),
    }


def _delete(
    ids: object,
    model: type[IdempotencyKey | Runner | MtaStsPolicy | SourceDay | Hour | OutcomeSlot | RuleHour],
) -> int:
    return model._default_manager.filter(id__in=list(ids)).delete()[0]  # type: ignore[call-overload]


def _prune_operations(before: datetime, batch: int) -> int:
    """With their frozen sets. What they did stays in the audit."""
    old = Operation.objects.filter(ended_at__lt=before).order_by("ended_at")
    with transaction.atomic():
        ids = list(old.values_list("id", flat=True)[: min(batch, _SOME_OPERATIONS)])
        OperationChunk.objects.filter(operation_id__in=ids).delete()
        Operation.objects.filter(id__in=ids).delete()
    return len(ids)


def _prune_audit(before: datetime, batch: int) -> int:
    """The one way to remove audit rows: the database gives free what is older than the cut. It is told in the
    audit itself."""
    with transaction.atomic():
        ids = list(
            AuditEvent.objects.filter(at__lt=before).order_by("id").values_list("id", flat=True)[:batch]
        )
        if not ids:
            return 0
        AuditCut.objects.update_or_create(pk=1, defaults={"before": before})
        n = AuditEvent.objects.filter(id__in=ids).delete()[0]
        told = {"before": before.isoformat()}
        AuditEvent.objects.create(actor="prune", action="audit.prune", target="audit", n=n, detail=told)
    return n


def _minutes_until(now: datetime) -> datetime:
    return min(now - KEEP_MINUTES, rollups.until(rollups.HOURS) or now, totals.until() or now)


def _prune_minutes(before: datetime, batch: int) -> int:
    """Fold the sums over all domains into the totals, then remove."""
    with transaction.atomic():
        old = Minute.objects.filter(at__lt=before).exclude(at=TOTALS_AT).select_for_update(skip_locked=True)
        ids = list(old.order_by("at", "domain_id").values_list("id", flat=True)[:batch])
        rows = Minute.objects.filter(id__in=ids)
        sums = rows.filter(domain_id=EVERY_DOMAIN).aggregate(**{name: Sum(f"n_{name}") for name in METRICS})
        if any(sums.values()):
            kept = Minute.objects.select_for_update().get_or_create(at=TOTALS_AT, domain_id=EVERY_DOMAIN)[0]
            for name in METRICS:
                setattr(kept, f"n_{name}", getattr(kept, f"n_{name}") + (sums[name] or 0))
            kept.save()
        rows.delete()
        return len(ids)
