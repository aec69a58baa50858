"""Findings to rows of Diagnosis: what holds now is written, what is over is removed, `since` stays.

One transaction of few rows, and only those that changed. The look before may be another machine's: then this
one goes on with its rows.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db import transaction

from queueapp import events
from queueapp.models import Bookmark, Diagnosis
from queueapp.watch.diagnosis.causes.finding import ALL, Finding
from queueapp.watch.diagnosis.evidence import keep_first

NAME = "diagnosis"
_FIELDS = ("place", "n", "n_failed", "share", "is_estimate", "evidence", "since", "seen_at", "name")
_KEY = ("kind", "key", "cause")


def write(findings: Iterable[tuple[Finding, dict[str, Any]]], now: datetime, took_ms: int) -> int:
    """Each finding with its evidence, those of a scope in their order. Returns how many rows changed."""
    before = {(row.kind, row.key, row.cause): row for row in Diagnosis.objects.all()}
    rows, places = [], dict[tuple[str, str], int]()
    for finding, evidence in findings:
        place = places.setdefault(finding.scope, 0)
        places[finding.scope] += 1
        rows.append(row_of(finding, evidence, place, before.get((*finding.scope, finding.cause)), now))
    held = {(row.kind, row.key, row.cause) for row in rows}
    gone = [row.pk for key, row in before.items() if key not in held]
    changed = [row for row in rows if _differs(row, before.get((row.kind, row.key, row.cause)))]
    with transaction.atomic():
        Diagnosis.objects.filter(pk__in=gone).delete()
        Diagnosis.objects.bulk_create(
            changed, update_conflicts=True, unique_fields=_KEY, update_fields=_FIELDS, batch_size=200
        )
        Diagnosis.objects.update(seen_at=now)
        Bookmark.objects.update_or_create(name=NAME, defaults={"at": now, "data": {"took_ms": took_ms}})
        if gone or any(_is_news(row, before) for row in changed):
            events.publish("diagnosis")
    return len(changed) + len(gone)


def looked_at() -> datetime | None:
    """When the last look ended. None: nobody has looked yet."""
    return Bookmark.objects.filter(pk=NAME).values_list("at", flat=True).first()


def row_of(
    finding: Finding, evidence: dict[str, Any], place: int, before: Diagnosis | None, now: datetime
) -> Diagnosis:
    since = finding.since or now
    if before is not None:
        since = min(before.since, since)
        keep_first(evidence.get("replies", []), before.evidence.get("replies", []))
    n = finding.n + finding.n_failed
    return Diagnosis(
        kind=finding.scope[0], key=finding.scope[1][:512], name=finding.name[:512], cause=finding.cause,
        place=place, n=finding.n, n_failed=finding.n_failed, is_estimate=finding.is_estimate,
        share=min(1.0, finding.n / finding.of) if finding.of else float(bool(n)),
        evidence=evidence, since=min(since, now), seen_at=now,
    )  # fmt: skip


def _differs(row: Diagnosis, before: Diagnosis | None) -> bool:
    return before is None or any(
        getattr(row, name) != getattr(before, name) for name in _FIELDS if name != "seen_at"
    )


def _is_news(row: Diagnosis, before: dict[tuple[str, str, str], Diagnosis]) -> bool:
    """Whether pages show it: figures of the whole queue, or a cause that is new somewhere."""
    return (row.kind, row.key) == ALL or (row.kind, row.key, row.cause) not in before
