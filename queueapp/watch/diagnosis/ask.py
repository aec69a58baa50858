"""The causes of one scope, for whoever asks now: as the watch saw them, or looked up for this one alone.

The watch writes the fullest scopes. Of any other domain, site or sender this looks at a bounded number
of rows within a limit of time, and writes nothing. Campaigns have no index: only what the watch saw is
told.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from queueapp.models import Delivery, Diagnosis, RecipientDomain
from queueapp.models import Site as SiteRow
from queueapp.watch.diagnosis import gather, proof, records, samples, store, told
from queueapp.watch.diagnosis.causes.judge import judge
from queueapp.watch.diagnosis.causes.table import CAUSES
from queueapp.watch.diagnosis.facts import Facts, Part, Sample, Seen

KINDS = tuple(Diagnosis.Kind.values)
LOOK_S = 0.1  # seconds of one query
MOST, MOST_DOMAINS = 100, 8


def ask(kind: str, key: str, now: datetime) -> list[Diagnosis]:
    """In order; empty where nothing is stuck there. `key` of a site is its number."""
    kept = Diagnosis.objects.filter(kind=kind, key=key).order_by("place")
    if kind in ("all", "campaign") or (not told.is_stale(store.looked_at(), now) and kept):
        return list(kept)
    facts = _FACTS[kind](key, now)
    found = [] if facts is None else [each for each in judge(facts) if each.scope == (kind, key)]
    return [store.row_of(each, proof.of_one(each), place, None, now) for place, each in enumerate(found)]


def stops() -> list[Diagnosis]:
    """What holds everything, in whichever scope one looks."""
    rows = Diagnosis.objects.filter(kind="all").order_by("place")
    return [row for row in rows if row.cause in CAUSES and CAUSES[row.cause].tier == 0]


def fullest(kind: str, limit: int) -> list[Diagnosis]:
    """The first cause of each scope of that kind, the fullest first."""
    return list(Diagnosis.objects.filter(kind=kind, place=0).order_by("-n", "-n_failed", "key")[:limit])


def exists(kind: str, key: str) -> bool:
    if kind == "domain":
        return RecipientDomain.objects.filter(name=key).exists()
    if kind == "site":
        return _site(key) is not None
    return True


def _site(key: str) -> SiteRow | None:
    is_number = key.isascii() and key.isdigit() and len(key) < 19
    return SiteRow.objects.filter(pk=int(key)).first() if is_number else None


def _of_domain(key: str, now: datetime) -> Facts | None:
    row = RecipientDomain.objects.filter(name=key).first()
    if row is None:
        return None
    parts = gather.parts(gather.of_domain(row.pk), (), now)
    return _facts(parts, [row.pk], now)


def _of_site(key: str, now: datetime) -> Facts | None:
    site = _site(key)
    if site is None:
        return None
    parts = gather.parts(gather.of_site(site.pk), [site.pk], now, MOST_DOMAINS)
    deep = [part.pk for part in parts if part.pk]
    return _facts(parts, deep, now, sites=gather.sites([site.pk]))


def _of_sender(key: str, now: datetime) -> Facts:
    rows = samples.of_sender(key)
    seen = [row for row in samples.in_time(rows, LOOK_S * 3) if row.state != "delivered"]
    parts = gather.parts(gather.everything().filter(pk__in={row.domain_id for row in seen}), (), now)
    return _made(parts, seen, now)


_FACTS: dict[str, Any] = {"domain": _of_domain, "site": _of_site, "sender": _of_sender}


def _facts(parts: list[Part], domains: list[int], now: datetime, **more: Any) -> Facts:
    seen: list[Seen] = []
    for pk in domains:
        rows = Delivery.objects.filter(domain_id=pk)
        waiting = rows.waiting().order_by("-priority", "next_attempt_at")
        seen += samples.in_time(waiting.filter(state="deferred")[:MOST], LOOK_S)
        seen += samples.in_time(rows.filter(state="held").order_by("-id")[:MOST], LOOK_S)
        seen += samples.in_time(rows.filter(state="bounced").order_by("-id")[:MOST], LOOK_S)
    return _made(parts, seen, now, **more)


def _made(parts: list[Part], seen: list[Seen], now: datetime, **more: Any) -> Facts:
    def of(state: str, n: int) -> Sample:
        rows = tuple(row for row in seen if row.state == state)
        return Sample(rows, max(n, len(rows)))

    recent = [
        row for row in seen if row.state == "bounced" and row.at and row.at > now - samples.FAILED_WITHIN
    ]
    return Facts(
        now=now,
        parts=tuple(parts),
        deferred=of("deferred", sum(part.n_deferred for part in parts)),
        held=of("held", sum(part.n_held for part in parts)),
        failed=Sample(tuple(recent), len(recent)),
        n_finished=len([row for row in seen if row.state in ("bounced", "delivered")]),
        records=records.known().records,
        **more,
    )
