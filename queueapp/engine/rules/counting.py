"""Counts of rules with a threshold: runners add up what they saw, and who crosses it begins the effect.

A count is kept in slices of a tenth of its time, so that it slides and its rows are few. Promises: one
statement for all that a runner saw in a second; two runners that see half of it each cross it together.
After an effect began, the count begins anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db import transaction
from django.utils import timezone

from queueapp.engine.rules import effects, shipped
from queueapp.engine.rules.effects import Target
from queueapp.engine.rules.ruleset import Rule
from queueapp.engine.suspensions import Cause
from queueapp.models import BackoffRule, Effect, Message, RuleCount, RuleScope
from queueapp.models.bulk import ManyRows
from queueapp.models.matching import CAMPAIGN_TAG

_SLICES = 10
_ADD = ManyRows(
    "rule:bigint key:text at:timestamptz n:integer",
    postgresql="""
        INSERT INTO queueapp_rulecount (rule_id, key, at, n) SELECT rule, key, at, n FROM {rows}
        ON CONFLICT (rule_id, key, at) DO UPDATE SET n = queueapp_rulecount.n + excluded.n""",
    sqlite="""
        INSERT INTO queueapp_rulecount (rule_id, key, at, n) VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT (rule_id, key, at) DO UPDATE SET n = n + excluded.n""",
)


@dataclass(slots=True)
class Hit:
    """What a rule matched on, `n` times since the runner told last. `message_id` where only the message
    knows the target."""

    rule: Rule
    target: Target
    cause: Cause
    n: int = 1
    message_id: int = 0


def tell(hits: Sequence[Hit]) -> list[Effect]:
    """Count, and begin what has to begin; the effects that began. Raises DatabaseError."""
    known = _known(_with_messages(hits))
    begun = []
    for hit in known:
        if hit.rule.is_at_once:
            effect, is_new = effects.begin(hit.rule, hit.target, hit.cause, hit.n)
            begun += [effect] if is_new else []
    counted = [hit for hit in known if not hit.rule.is_at_once]
    for hit, n in _add(counted):
        effect, is_new = effects.begin(hit.rule, hit.target, hit.cause, n)
        begun += [effect] if is_new else []
    return begun


def _with_messages(hits: Iterable[Hit]) -> list[Hit]:
    """Logins and campaigns are known by the message alone."""
    ids = {hit.message_id for hit in hits if hit.rule.asks_message}
    if not ids:
        return list(hits)
    rows = Message.objects.filter(pk__in=ids).values_list("pk", "login", "tags")
    facts = {pk: (login, [str(tag) for tag in tags]) for pk, login, tags in rows}
    found = []
    for hit in hits:
        if not hit.rule.asks_message:
            found.append(hit)
            continue
        login, tags = facts.get(hit.message_id, ("", []))
        if hit.rule.scope == RuleScope.LOGIN:
            values = [login]
        else:
            values = [tag for tag in tags if tag.lower().startswith(CAMPAIGN_TAG)]
        found += [
            Hit(hit.rule, Target(hit.rule.scope, value=value), hit.cause, hit.n) for value in values if value
        ]
    return found


def _known(hits: list[Hit]) -> list[Hit]:
    """Those whose rule is there, under its number; each rule and target once."""
    keys = {hit.rule.key for hit in hits if not hit.rule.pk}
    stored = {key: shipped.stored(key).pk for key in keys}
    there = set(
        BackoffRule.objects.filter(
            pk__in={hit.rule.pk or stored[hit.rule.key] for hit in hits}, is_enabled=True
        ).values_list("pk", flat=True)
    )
    once: dict[tuple[int, str], Hit] = {}
    for hit in hits:
        pk = hit.rule.pk or stored[hit.rule.key]
        if pk in there:
            first = once.setdefault((pk, hit.target.key), hit)
            if first is not hit:
                first.n += hit.n
    return list(once.values())


def _add(hits: list[Hit]) -> list[tuple[Hit, int]]:
    """Those that have reached their number now, and which that is."""
    if not hits:
        return []
    now = timezone.now()
    by_key = {(hit.rule.pk or shipped.stored(hit.rule.key).pk, hit.target.key): hit for hit in hits}
    with transaction.atomic():
        # In one order everywhere: two runners that meet on the same keys wait, and never for each other.
        _ADD.run([(*key, _slice(hit.rule, now), hit.n) for key, hit in sorted(by_key.items())])
        sums: dict[tuple[int, str], int] = {}
        longest = max(hit.rule.per for hit in hits)
        rows = RuleCount.objects.filter(
            rule_id__in={pk for pk, _ in by_key}, key__in={key for _, key in by_key}, at__gt=now - longest
        )
        for pk, key, at, n in rows.values_list("rule_id", "key", "at", "n"):
            found = by_key.get((pk, key))
            if found is not None and at > now - found.rule.per:
                sums[pk, key] = sums.get((pk, key), 0) + n
        reached = [(by_key[where], n) for where, n in sums.items() if n >= by_key[where].rule.n_hits]
        for pk, key in [where for where, n in sums.items() if n >= by_key[where].rule.n_hits]:
            RuleCount.objects.filter(rule_id=pk, key=key).delete()
    return reached


def _slice(rule: Rule, now: datetime) -> datetime:
    step = max(rule.per.total_seconds() / _SLICES, 1.0)
    return datetime.fromtimestamp(now.timestamp() // step * step, UTC)
