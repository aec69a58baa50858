"""Tries a line of the classifier on the attempts of the last day, before it counts.

Newest first, in slices that grow as long as the time allows; what a line can't match is left to the
database. Promises: constant memory, bounded steps; each attempt is looked at once, for a step is saved only
where nobody else went on meanwhile; a trial that was cut short says how far it came. What it asks is what
delivery would ask: `Table.classify` with the line in its place. Never: changes an attempt or a delivery.

`begin` looks for a moment, which is enough for a small queue; the scheduler goes on with the rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Max, Min, Q
from django.utils import timezone

from queueapp.mail.classify import Table
from queueapp.mail.gist import gist, shown
from queueapp.mail.patterns import WORD, Pattern
from queueapp.mail.reply import Reply
from queueapp.models import Attempt, ReplyRule, ReplyTrial
from queueapp.models.budget import Clock
from queueapp.models.reply_rule import digest_of, line_of

SPAN = timedelta(days=1)
KEEP = timedelta(days=7)
AT_ONCE, A_STEP = 0.25, 0.5  # seconds
MOST_OPEN = 5
MOST_GROUPS = 30
_FIRST, _MOST = 500, 50_000
_ROW = ("pk", "delivery_id", "at", "reply_class", "code", "enhanced", "text", "stage", "host", "result")


def begin(spec: dict[str, Any], asked_by: str, seconds: float = AT_ONCE) -> ReplyTrial:
    """A trial of these values (models/reply_rule.py), begun and looked at for a moment."""
    now = timezone.now()
    ReplyTrial.objects.filter(asked_at__lt=now - KEEP).delete()
    ends = Attempt.objects.aggregate(first=Min("pk"), last=Max("pk"))
    last = ends["last"] or 0
    first = _first_since(now - SPAN, ends["first"] or 1, last)
    trial = ReplyTrial.objects.create(
        line=spec, digest=digest_of(spec), asked_by=asked_by[:150], asked_at=now, since=now - SPAN,
        first=first, reached=last + 1,
    )  # fmt: skip
    _go_on(trial, seconds)
    return trial


def go_on(seconds: float = A_STEP) -> int:
    """The next while of the oldest trial that is not done; returns how many attempts were looked at."""
    trial = ReplyTrial.objects.filter(ended_at=None).order_by("pk").first()
    return _go_on(trial, seconds) if trial else 0


def _first_since(since: datetime, low: int, high: int) -> int:
    """The number of the first attempt of the span, by halving: attempts are numbered as they come."""
    while low <= high:
        middle = (low + high) // 2
        row = Attempt.objects.filter(pk__gte=middle).order_by("pk").values_list("pk", "at").first()
        if row is None or row[1] >= since:
            high = middle - 1
        else:
            low = row[0] + 1
    return low


def _go_on(trial: ReplyTrial, seconds: float) -> int:
    clock, size, n = Clock(seconds), _FIRST, 0
    table, line = _tables(trial)
    while trial.reached > trial.first and size:
        before = trial.reached
        low = max(trial.first, before - size)
        _look(trial, table, line, low)
        if trial.reached == trial.first:
            trial.ended_at = timezone.now()
        if not _save(trial, before):
            return n
        n += before - low
        size = min(clock.next_size(size), _MOST)
    if trial.reached <= trial.first and trial.ended_at is None:
        trial.ended_at = timezone.now()
        _save(trial, trial.reached)
    return n


def _tables(trial: ReplyTrial) -> tuple[Table, Pattern]:
    """All own lines that count, with this one in its place: of its name, else first."""
    line = line_of(trial.line)
    row = ReplyRule.objects.filter(name=line.name).first()
    place = (row.position if row else trial.line.get("position", 0), line.name)
    others = ReplyRule.objects.filter(is_on=True).exclude(name=line.name).order_by("position", "name")
    lines = sorted(
        [(place, line), *(((each.position, each.name), each.line) for each in others)], key=_by_place
    )
    return Table(tuple(each for _, each in lines)), line


def _by_place(found: tuple[tuple[int, str], Pattern]) -> tuple[int, str]:
    return found[0]


def _look(trial: ReplyTrial, table: Table, line: Pattern, low: int) -> None:
    """At the attempts from `low` on, up to where the trial was."""
    some = Attempt.objects.filter(pk__gte=low, pk__lt=trial.reached)
    changes = Counter({(had, gets): n for had, gets, n in trial.changes})
    groups = {tuple(each["key"]): each for each in trial.groups}
    n_decided = 0
    for row in some.filter(_may_match(line)).order_by("-pk").values_list(*_ROW).iterator(chunk_size=2000):
        _, delivery, at, had, code, enhanced, text, stage, host, _ = row
        verdict = table.classify(Reply(code, enhanced, text), stage, host)
        if verdict.rule != line.rule:
            continue
        n_decided += 1
        changes[had, verdict.reply_class] += 1
        key = (had, verdict.reply_class, str(code), enhanced, shown(gist(text)))
        group = groups.get(key)
        if group is None:
            groups[key] = group = {
                "key": list(key), "n": 0, "text": text[:300], "host": host, "delivery": delivery,
                "at": at.isoformat(),
            }  # fmt: skip
        group["n"] += 1
    trial.n_looked += some.count()
    trial.n_decided += n_decided
    trial.changes = [[had, gets, n] for (had, gets), n in changes.most_common()]
    trial.groups = _largest(groups.values())
    trial.reached = low
    trial.reached_at = Attempt.objects.filter(pk__gte=low).order_by("pk").values_list("at", flat=True).first()


def _largest(groups: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(groups, key=lambda each: -each["n"])[:MOST_GROUPS]


def _may_match(line: Pattern) -> Q:
    """No less than what the line can decide, as far as the database can tell."""
    asked = Q(code__gte=400)
    if line.stage:
        asked &= Q(stage__in=(line.stage, ""))
    if line.phrases:
        texts = Q()
        for phrase in line.phrases:
            texts |= _holds(phrase)
        asked &= texts
    return asked


def _holds(phrase: str) -> Q:
    """The longest word of each part: what stands between words may differ, and so may other cases."""
    found = Q()
    for part in phrase.split("*"):
        words = [word for word in WORD.findall(part) if word.isascii()]
        if words:
            found &= Q(text__icontains=max(words, key=len))
    return found


def _save(trial: ReplyTrial, before: int) -> bool:
    """False: somebody else went on with it meanwhile."""
    values = {
        name: getattr(trial, name)
        for name in ("reached", "reached_at", "ended_at", "n_looked", "n_decided", "changes", "groups")
    }
    return bool(ReplyTrial.objects.filter(pk=trial.pk, reached=before, ended_at=None).update(**values))
