"""Who must not be written to, and what is held when it comes in: two lists, read in one query.

access/suppressions.py and access/holds.py keep them. The query is raw: it is part of every commit, and
the ORM's own work would cost more than the rest of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from django.db import connection
from django.utils import timezone

from queueapp.engine.enqueue import NewMessage
from queueapp.models import HoldRule
from queueapp.models.bulk import text_array
from queueapp.models.trips import Question, ask

Kind = HoldRule.Kind
# SQLite may take 32,766 parameters in a query.
_MAX_PARAMETERS = 5000
_RULES = "SELECT id, kind, value, reason FROM queueapp_holdrule WHERE until IS NULL OR until > {now}"
_SUPPRESSED = "SELECT 0, '', address, reason FROM queueapp_suppression WHERE address "
_BOTH = f"{_RULES.format(now='$1::timestamptz')} UNION ALL {_SUPPRESSED} = ANY($2::text[])"
Row = tuple[int, str, str, str]


class Rule(NamedTuple):
    """A hold rule in force."""

    id: int
    kind: str
    value: str
    reason: str


def question(fresh: Iterable[NewMessage]) -> Question:
    """What `apply` has to know, for who asks it on PostgreSQL with something else."""
    wanted = _recipients(fresh)
    return _BOTH, (timezone.now().isoformat(), text_array(wanted))


def apply(fresh: Iterable[NewMessage], rows: list[Row] | None = None) -> None:
    """Set `refusal` for who is suppressed, final at once with its reason, and `hold_reason` where a rule
    matches; the first rule that was made decides. `rows`: the answer to `question`, if it was asked."""
    fresh = list(fresh)
    rules, suppressed = _lists(fresh, rows)
    if not rules and not suppressed:
        return
    for each in fresh:
        message = each.message
        for new in each.deliveries:
            if new.recipient.lower() in suppressed:
                new.refusal = ("suppressed", f"suppressed: {suppressed[new.recipient.lower()]}")
            envelope = message.sender, message.sender_domain, new.domain
            rule = _match(rules, *envelope, message.tags, message.login)
            if rule and not new.refusal:
                new.hold_reason = f"{rule.reason} (rule {rule.id}: {rule.kind} {rule.value})"[:255]


def rule_for(
    sender: str, sender_domain: str, domain: str, tags: Iterable[str], login: str = ""
) -> HoldRule | None:
    """The rule that would hold such a mail now."""
    rule = _match(_lists([])[0], sender, sender_domain, domain, tags, login)
    return HoldRule.objects.filter(pk=rule.id).first() if rule else None


def _lists(fresh: list[NewMessage], rows: list[Row] | None = None) -> tuple[list[Rule], dict[str, str]]:
    """All rules in force by their id, and the reasons of those recipients that are suppressed."""
    if rows is None:
        rows = ask(question(fresh))[0] if connection.vendor == "postgresql" else _on_sqlite(fresh)
    rules = sorted(Rule(*row) for row in rows if row[0])
    return rules, {address: reason for pk, _, address, reason in rows if not pk}


def _recipients(fresh: Iterable[NewMessage]) -> list[str]:
    return sorted({new.recipient.lower() for each in fresh for new in each.deliveries})


def _on_sqlite(fresh: list[NewMessage]) -> list[Row]:
    wanted = _recipients(fresh)
    rows: list[Row] = []
    with connection.cursor() as cursor:
        now = connection.ops.adapt_datetimefield_value(timezone.now())
        cursor.execute(_RULES.format(now="%s"), [now])
        rows += cursor.fetchall()
        for start in range(0, len(wanted), _MAX_PARAMETERS):
            some = wanted[start : start + _MAX_PARAMETERS]
            marks = ", ".join(["%s"] * len(some))
            cursor.execute(f"{_SUPPRESSED} IN ({marks})", some)
            rows += cursor.fetchall()
    return rows


def _match(
    rules: list[Rule], sender: str, sender_domain: str, domain: str, tags: Iterable[str], login: str
) -> Rule | None:
    facts = {
        Kind.SENDER: {sender.lower()},
        Kind.SENDER_DOMAIN: {sender_domain.lower()},
        Kind.RECIPIENT_DOMAIN: {domain.lower()},
        Kind.TAG: {str(tag).lower() for tag in tags},
        Kind.LOGIN: {login.lower()},
    }
    return next((rule for rule in rules if rule.value in facts[Kind(rule.kind)]), None)
