"""The whole queue: how much waits, for how long, and whether it gets less."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from queueapp.watch.alerts.seen import ALL, Condition, Seen
from queueapp.watch.diagnosis.causes.table import CAUSES
from queueapp.watch.diagnosis.told import query, remedy, sentence

if TYPE_CHECKING:
    from queueapp.models import AlertRule, Diagnosis
    from queueapp.watch.alerts.facts import Facts

_OPEN = "state:queued state:deferred"
_TROUBLE = ("danger", "warning")
_OWN = ("database", "redis", "disk", "no_workers", "held", "suspended", "late")
"""Causes that have a condition of their own, or that somebody wanted."""
DUE_LEAST = 60.0
TRIED_LEAST = 50
DEAD = ("workers", "redis", "parts")


def depth(rule: AlertRule, facts: Facts) -> Iterator[Seen]:
    least = rule.threshold or 0
    if facts.n_waiting >= least:
        title = f"{facts.n_waiting:,} deliveries wait"
        yield Seen(
            ALL, title, value=facts.n_waiting, threshold=least, cause=root(facts), detail=why(facts, _OPEN)
        )


def oldest_due(rule: AlertRule, facts: Facts) -> Iterator[Seen]:
    seconds, least = facts.oldest_due, rule.threshold or 0
    if seconds is not None and seconds >= least:
        title = f"Due mail has waited for {_minutes(seconds)} without a try"
        yield Seen(
            ALL,
            title,
            value=seconds,
            threshold=least,
            cause=root(facts),
            detail=why(facts, f"{_OPEN} next<1m"),
        )


def no_delivery(rule: AlertRule, facts: Facts) -> Iterator[Seen]:
    """Mail is due or much was tried, and nothing got through in so many seconds. A few mails that wait for
    dead receivers at night are no reason to wake anybody."""
    seconds = rule.threshold or 0
    minutes = max(1, round(seconds / 60))
    late = facts.sums(minutes)
    tried = late["deferred"] + late["bounced"]
    due = facts.oldest_due or 0.0
    if late["delivered"] or not facts.n_waiting:
        return
    is_due = due >= min(seconds, DUE_LEAST) and bool(tried or late["accepted"] or due >= seconds)
    if tried >= TRIED_LEAST or is_due:
        title = f"Nothing was delivered in {_minutes(seconds)}, and {facts.n_waiting:,} deliveries wait"
        yield Seen(ALL, title, value=seconds, threshold=seconds, cause=root(facts), detail=why(facts, _OPEN))


def drain(rule: AlertRule, facts: Facts) -> Iterator[Seen]:
    told, least = facts.drain, rule.threshold or 0
    if told["n"] < 1_000:
        return
    if told["trend"] == "drains" and told["in_s"] >= least:
        yield Seen(
            ALL, f"The queue will not be empty soon: {told['text']}", value=told["in_s"], threshold=least,
            cause=root(facts), detail=why(facts, _OPEN),
        )  # fmt: skip


def growing(rule: AlertRule, facts: Facts) -> Iterator[Seen]:
    told, least = facts.drain, rule.threshold or 0
    if told["trend"] == "grows" and -told["per_minute"] >= least and told["n"] >= 10 * least:
        title = f"The queue grows by {round(-told['per_minute']):,} a minute"
        yield Seen(
            ALL,
            title,
            value=-told["per_minute"],
            threshold=least,
            cause=root(facts),
            detail=why(facts, _OPEN),
        )


def cause(rule: AlertRule, facts: Facts) -> Iterator[Seen]:
    """What the diagnosis names, where it holds at least so many deliveries, or stops everything."""
    least = rule.threshold or 0
    for row in facts.causes:
        known = CAUSES.get(row.cause)
        if known is None or known.level not in _TROUBLE or row.cause in _OWN:
            continue
        if row.n >= least or (known.tier == 0 and known.level == "danger"):
            yield Seen(
                f"part:cause {row.cause}", known.title, label=known.title, scope="part", value=row.n,
                threshold=least, cause=f"clogged:{row.cause}",
                severity="critical" if known.tier == 0 and known.level == "danger" else "",
                detail=of_cause(row),
            )  # fmt: skip


def root(facts: Facts) -> str:
    """What is told of the whole queue is one group with what the diagnosis says of it."""
    return f"clogged:{facts.root}" if facts.root else "queue"


def why(facts: Facts, search: str) -> dict[str, Any]:
    """The causes that are known now, for a mail that says only how much waits."""
    causes = [[_title(row), row.n] for row in facts.causes[:5]]
    first = facts.causes[0] if facts.causes else None
    return {
        "query": search, "causes": causes, "sites": _where(first), "advice": _advice(first),
        "reply": _reply(first),
    }  # fmt: skip


def of_cause(row: Diagnosis) -> dict[str, Any]:
    return {
        "query": query(row), "causes": [[sentence(row), row.n]], "sites": _where(row),
        "advice": _advice(row), "reply": _reply(row),
    }  # fmt: skip


def _title(row: Diagnosis) -> str:
    known = CAUSES.get(row.cause)
    return known.title if known else row.cause


def _where(row: Diagnosis | None) -> list[list[Any]]:
    places = row.evidence.get("where", []) if row else []
    return [[str(place[2]), place[3]] for place in places[:10] if place[0] in ("domain", "site")]


def _reply(row: Diagnosis | None) -> str:
    replies = row.evidence.get("replies", []) if row else []
    return str(replies[0].get("text", ""))[:300] if replies else ""


def _advice(row: Diagnosis | None) -> str:
    return remedy(row) if row else ""


def _minutes(seconds: float) -> str:
    minutes = round(seconds / 60)
    return (
        f"{minutes} minutes"
        if 1 < minutes < 120
        else f"{minutes / 60:.0f} hours"
        if minutes > 1
        else "a minute"
    )


CONDITIONS = (
    Condition("depth", depth, "Too much waits", "At least so many deliveries wait.", "deliveries"),
    Condition(
        "oldest_due", oldest_due, "Due mail is not tried",
        "The oldest mail that is due, and that nothing holds up, has waited for so long.", "seconds",
        muted_by=DEAD,
    ),
    Condition(
        "no_delivery", no_delivery, "Nothing is delivered",
        "Mail waits and is tried or due, and nothing was delivered for so long.", "seconds", muted_by=DEAD,
    ),
    Condition(
        "drain", drain, "The queue takes long to drain",
        "At the pace of the last 15 minutes it takes at least so long until the queue is empty.", "seconds",
    ),
    Condition("growing", growing, "The queue grows", "It grows by at least so many a minute.", "per_minute"),
    Condition(
        "cause", cause, "A cause that clogs the queue",
        "The diagnosis names a cause that holds at least so many deliveries, or that stops everything.",
        "deliveries", scopes=("part",), muted_by=DEAD,
    ),
)  # fmt: skip
