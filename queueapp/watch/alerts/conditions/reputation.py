"""What others think of us, and who abuses us: listings, and senders that were stopped."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from queueapp.models import Effect, Listing, RuleAction
from queueapp.watch.alerts.facts import MOST
from queueapp.watch.alerts.seen import Condition, Seen

if TYPE_CHECKING:
    from queueapp.models import AlertRule
    from queueapp.watch.alerts.facts import Facts

_SEVERITY = {"danger": "critical", "warning": "warning", "info": "info"}


def listing(rule: AlertRule, facts: Facts) -> Iterator[Seen]:
    """Confirmed by two answers, or named by a receiver."""
    for row in Listing.objects.hurting(facts.now).order_by("since", "pk")[:MOST]:
        is_named = row.is_named(facts.now)
        severity = "critical" if is_named else _SEVERITY.get(row.severity, "warning")
        yield Seen(
            f"part:listing {row.target} {row.list_name}", f"{row.target} is on the blocklist {row.list_name}",
            label=row.target, scope="part", cause=f"listing:{row.target}", severity=severity,
            detail={
                "reply": (row.named_reply if is_named else row.reason)[:300],
                "causes": [[row.meaning, row.n_named]] if row.meaning else [],
                "query": "class:blocklisted",
                "advice": "Stop what was sent first, then ask for removal: the page Blocklists has the link.",
            },
        )  # fmt: skip


def flood(rule: AlertRule, facts: Facts) -> Iterator[Seen]:
    """A rule has stopped a sender; its owner is told as well (telling.py)."""
    rows = Effect.objects.open(facts.now).filter(action=RuleAction.STOP_SENDER).order_by("since", "pk")
    for row in rows[:MOST]:
        yield Seen(
            f"sender:{row.label}", f"{row.label} was stopped: {row.rule_name}", label=row.label,
            scope="sender", value=row.n_held, cause=f"flood:{row.key}",
            detail={
                "reply": row.reply[:300], "owner": row.owner_to, "query": "state:held",
                "advice": "Ask its owner whether this is theirs. If not, change the password, delete what is "
                "held, then lift the stop on the page Back-off.",
            },
        )  # fmt: skip


CONDITIONS = (
    Condition(
        "listing", listing, "On a blocklist",
        "One of our addresses or domains is on a list, by two answers that agree or by a receiver's reply.",
        scopes=("part",),
    ),
    Condition(
        "flood", flood, "A sender was stopped", "A rule holds the mail of a login or sender.",
        scopes=("sender",),
    ),
)  # fmt: skip
