"""What a rule would have done: the last day's attempts, looked through again by it.

The rule is asked in its place among the others, so what a rule above it hears does not count for it. The
newest attempts are looked at first, until the day is covered or the time is up: then the answer says how far
it came. Nothing is changed. A rule is played through with thresholds, growth and cap, as if its effects had
not changed what was sent: it is what would have been noticed, not what would have been spared.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import connection
from django.db.models import Max
from django.utils import timezone

from queueapp.engine.rules import ruleset
from queueapp.engine.rules.effects import Target
from queueapp.engine.rules.ruleset import Rule, RuleSet
from queueapp.engine.suspensions import AGAIN, grown
from queueapp.models import Attempt, Delivery, EgressSource, RuleCondition, RuleScope
from queueapp.models.bulk import as_time
from queueapp.models.matching import CAMPAIGN_TAG
from queueapp.transports.base import Outcome

DAY = timedelta(days=1)
SECONDS = 4.0
MOST_MATCHES = 50_000
_WINDOW, _CHUNK, _MOST_TARGETS, _EXAMPLES = 50_000, 1000, 20, 5
_READ = """
    SELECT id, delivery_id, at, result, reply_class, code, enhanced, text, rule, stage, host, source
    FROM queueapp_attempt
    WHERE id >= %s AND id < %s AND result <> 'delivered' AND code IS NOT NULL ORDER BY id DESC"""


class Match(NamedTuple):
    at: datetime
    key: str
    label: str
    reply: str
    recipient: str


@dataclass(slots=True)
class On:
    """What the rule would have done on one target."""

    label: str
    n_matched: int = 0
    n_times: int = 0
    seconds: float = 0.0
    first: datetime | None = None
    last: datetime | None = None


@dataclass(slots=True)
class Trial:
    """`is_whole`: the day was looked through to its begin, else back to `since`. Of a flood `n_looked` are
    messages, and `n_matched` deliveries that would have been held."""

    since: datetime
    is_whole: bool
    n_looked: int = 0
    n_matched: int = 0
    n_times: int = 0
    n_targets: int = 0
    targets: list[On] = field(default_factory=list)
    examples: list[Match] = field(default_factory=list)
    took_s: float = 0.0
    condition: str = RuleCondition.REPLY


def of(rule: Rule, seconds: float = SECONDS) -> Trial:
    """Look through the last day, for at most so many seconds. Only for rules about replies."""
    began, now = time.monotonic(), timezone.now()
    made = Trial(now - DAY, is_whole=True)
    matches: list[Match] = []
    rule = replace(rule, pk=-1)
    rules, anywhere = _with(rule), replace(rule, sites=frozenset())
    for since, rows in _windows(now - DAY):
        made.n_looked += len(rows)
        chosen = [row for row in rows if anywhere.matches(_outcome(row), _text(row), "")]
        for start in range(0, len(chosen), _CHUNK):
            matches += _matches(rule, rules, chosen[start : start + _CHUNK])
        is_late = time.monotonic() - began > seconds or len(matches) >= MOST_MATCHES
        if is_late and since > now - DAY:
            made.since, made.is_whole = since, False
            break
    made.n_matched = len(matches)
    made.examples = matches[:_EXAMPLES]
    on = played(rule, reversed(matches))
    made.n_targets = sum(1 for each in on if each.n_times)
    made.n_times = sum(each.n_times for each in on)
    made.targets = on[:_MOST_TARGETS]
    made.took_s = time.monotonic() - began
    return made


def _with(rule: Rule) -> RuleSet:
    """The rule in its place: before what is as it is; its own row, if it has one, is left out."""
    others = [each for each in ruleset.enabled() if each.name != rule.name]
    place = sum(1 for each in others if each.position <= rule.position)
    return RuleSet([*others[:place], rule, *others[place:]])


def _windows(since: datetime) -> Iterator[tuple[datetime, Sequence[Any]]]:
    """Failed attempts in the order of time, newest first, and from when on all have been given."""
    high = (Attempt.objects.aggregate(most=Max("pk"))["most"] or 0) + 1
    while high > 1:
        low = max(high - _WINDOW, 1)
        with connection.cursor() as cursor:
            cursor.execute(_READ, [low, high])
            rows = cursor.fetchall()
        before = Attempt.objects.filter(pk__lt=low).order_by("-pk").values_list("at", flat=True).first()
        yield before or since, [row for row in rows if as_time(row[2]) >= since]
        if before is None or before < since:
            return
        high = low


def _outcome(row: Sequence[Any]) -> Outcome:
    _, _, _, result, reply_class, code, enhanced, text, rule, stage, host, _ = row
    return Outcome(result, reply_class, code, enhanced, text, host, rule=rule, stage=stage)


def _text(row: Sequence[Any]) -> str:
    return ruleset.text_of(row[7])


def _matches(rule: Rule, rules: RuleSet, rows: Sequence[Sequence[Any]]) -> list[Match]:
    ids = {row[1] for row in rows}
    fields = ("pk", "recipient", "message_id", "domain_id", "domain__name", "domain__site_id",
              "domain__site__name", "message__sender", "message__login", "message__tags")  # fmt: skip
    facts = {each[0]: each for each in Delivery.objects.filter(pk__in=ids).values_list(*fields)}
    sources = {each.address: each for each in EgressSource.objects.all()}
    found, seen = [], set()
    for row in rows:
        known = facts.get(row[1])
        outcome = _outcome(row)
        if known is None or rules.decide(outcome, known[6] or "") is not rule:
            continue
        for key, label in _targets(rule, known, sources.get(row[11])):
            # One reply to several recipients of a mail is one.
            once = (key, known[2], row[2]) if outcome.stage != "rcpt" else (key, row[0])
            if once not in seen:
                seen.add(once)
                found.append(Match(as_time(row[2]), key, label, outcome.reply, known[1]))
    return found


def _targets(rule: Rule, known: Sequence[Any], source: EgressSource | None) -> list[tuple[str, str]]:
    _, _, _, domain_id, domain, site_id, site, sender, login, tags = known
    if rule.scope == RuleScope.PAIR:
        target = Target(rule.scope, site_id or 0, source.pk if source else 0)
        return [(target.key, f"{source.name if source else 'the default source'} at {site or '?'}")]
    if rule.scope == RuleScope.SITE:
        return [(Target(rule.scope, site_id or 0).key, site or "?")]
    if rule.scope == RuleScope.DOMAIN:
        return [(Target(rule.scope, domain_id=domain_id).key, domain)]
    values = {RuleScope.SENDER: [sender], RuleScope.LOGIN: [login]}.get(
        RuleScope(rule.scope), [str(tag) for tag in tags if str(tag).lower().startswith(CAMPAIGN_TAG)]
    )
    return [(Target(rule.scope, value=value).key, value) for value in values if value]


def played(rule: Rule, matches: Iterable[Match]) -> list[On]:
    """Pure: matches in the order of time, as the rule would have answered them; most often first."""
    on: dict[str, On] = {}
    counts: dict[str, deque[datetime]] = {}
    until: dict[str, datetime] = {}
    n: dict[str, int] = {}
    for match in matches:
        each = on.setdefault(match.key, On(match.label, first=match.at))
        each.n_matched += 1
        each.last = match.at
        if match.key in until and match.at < until[match.key]:
            continue
        count = counts.setdefault(match.key, deque())
        count.append(match.at)
        while count[0] < match.at - rule.per:
            count.popleft()
        if len(count) < rule.n_hits:
            continue
        count.clear()
        is_again = match.key in until and until[match.key] > match.at - AGAIN
        n[match.key] = n.get(match.key, 0) + 1 if is_again else 1
        lasts = grown(rule.lasts or DAY, rule.growth, rule.cap, n[match.key], None)
        until[match.key] = match.at + lasts
        each.n_times += 1
        each.seconds += lasts.total_seconds()
    return sorted(on.values(), key=lambda each: (-each.n_times, -each.n_matched, each.label))
