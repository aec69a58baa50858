"""Give mail back: a person ends the delivery, and its sender gets the report of any other bounce.

The reason that the person gave is for our own eyes: it stands in the row and in the attempt, and not in
the report. The recipient is not to blame, so nobody is suppressed.
"""

from __future__ import annotations

from queueapp.engine import bounce as engine
from queueapp.engine import domains
from queueapp.engine.claim import as_claimed
from queueapp.engine.counters import Changes
from queueapp.engine.enqueue import store
from queueapp.engine.locked import Asked, Done, Row, update
from queueapp.mail.reply import clean
from queueapp.models import WAITING, Delivery, State
from queueapp.models.bulk import NewRows
from queueapp.transports.base import Outcome

CANCELLED = Outcome("bounced", "cancelled", rule="operation")
_ATTEMPTS = NewRows(
    "queueapp_attempt",
    "delivery_id:bigint at:timestamptz result:text reply_class:text enhanced:text text:text rule:text "
    "stage:text host:text address:text source:text tls:text is_ambiguous:boolean",
)


def make_domains(ids: list[int]) -> None:
    """Those of the senders, before the transaction: see engine/domains.py."""
    names = Delivery.objects.filter(pk__in=ids).exclude(message__sender="").order_by()
    domains.ids_of(name for name in names.values_list("message__sender_domain", flat=True).distinct() if name)


def bounce(rows: list[Row], asked: Asked, done: Done, changes: Changes) -> None:
    ids = [row.id for row in rows]
    text = clean(f"given back by a person: {asked.reason}", 1000)
    update(
        ids, (*WAITING, State.HELD),
        "state = 'bounced', finished_at = %s, next_attempt_at = NULL, hold_reason = '', last_host = '', "
        "last_class = 'cancelled', last_code = NULL, last_enhanced = '', last_text = %s",
        [asked.now, text], asked,
    )  # fmt: skip
    _ATTEMPTS.add(
        [
            (pk, asked.now, "bounced", "cancelled", "", text, "operation", "", "", "", "", "", False)
            for pk in ids
        ]
    )
    for row in rows:
        done.did(row.state, row.id)
        changes.move(row.domain_id, row.state, State.BOUNCED)
        done.tally[row.domain_id, "bounced"] += 1
    made = engine.reports([(claimed, CANCELLED) for claimed in as_claimed(ids)], is_final=True)
    if made:
        store(
            made, domains.ids_of(new.domain for each in made for new in each.deliveries), changes, done.tally
        )
