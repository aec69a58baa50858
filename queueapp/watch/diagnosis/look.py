"""One round: gather the facts, judge, write the rows. Runs in the process `watch`, every ten seconds.

A round that took long makes the next one wait, so that all of it costs a sixtieth of the time at most;
but never longer than LONGEST, since people wait for it. Two machines that watch take turns.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta

from django.utils import timezone

from queueapp.models import Bookmark, RecipientDomain
from queueapp.watch.diagnosis import gather, proof, records, samples, store, system
from queueapp.watch.diagnosis.causes.judge import judge
from queueapp.watch.diagnosis.causes.senders import FLOOD_LEAST
from queueapp.watch.diagnosis.facts import Facts

EVERY = 10.0  # seconds
LONGEST = timedelta(seconds=40)
_SHARE = 60
_COUNTED = ("queued", "sending", "deferred", "held")


def look(now: datetime | None = None) -> int:
    """Returns how many rows changed; 0 where it was too early."""
    now = now or timezone.now()
    last = Bookmark.objects.filter(pk=store.NAME).first()
    if last is not None and last.at is not None and last.at <= now < last.at + _pause(last):
        return 0
    began = time.monotonic()
    findings = judge(facts(now))
    told = proof.of_all(findings)
    return store.write(told, now, int((time.monotonic() - began) * 1000))


def _pause(last: Bookmark) -> timedelta:
    took = timedelta(milliseconds=int(last.data.get("took_ms", 0)))
    # A little less than the schedule's own pace, which has some jitter.
    return min(LONGEST, max(timedelta(seconds=EVERY * 0.5), _SHARE * took))


def facts(now: datetime) -> Facts:
    """Of everything."""
    known = records.known()
    site_ids = gather.deepest_sites()
    parts = tuple(gather.parts(gather.everything(), site_ids, now))
    counts = {state: sum(getattr(part, f"n_{state}") for part in parts) for state in _COUNTED}
    failing = gather.failing()
    bounced, finished = gather.hour(now)
    attempted_at, took = samples.attempts()
    deferred = samples.deferred(counts["deferred"])
    arrivals = samples.arrivals(now) if sum(counts.values()) >= FLOOD_LEAST else ()
    return Facts(
        now=now,
        system=system.look(now, known.names_error),
        parts=parts,
        sites=gather.sites(site_ids),
        failing=failing,
        mx_delivered_at=gather.mx_delivered_at() if failing else None,
        deferred=deferred,
        deep=tuple(samples.of_deep_domains(parts, deferred)),
        due=samples.due(counts["queued"], now),
        sending=samples.sending(counts["sending"]),
        held=samples.held(counts["held"]),
        failed=samples.failed(bounced, now),
        arrivals=arrivals,
        usual=samples.usual(arrivals, now),
        listed=gather.listed(now),
        oldest_due_s=RecipientDomain.objects.claimable_for(now),
        attempted_at=attempted_at,
        took=took,
        n_finished=finished,
        records=known.records,
    )
