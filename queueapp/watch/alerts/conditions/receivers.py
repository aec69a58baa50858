"""Domains, sites and campaigns that nothing gets through to: told as one where the cause is one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

from queueapp.watch.alerts.conditions.queue import DEAD, of_cause
from queueapp.watch.alerts.seen import Condition, Seen
from queueapp.watch.diagnosis.causes.receivers import cause_of
from queueapp.watch.diagnosis.causes.table import CAUSES
from queueapp.watch.diagnosis.told import scope_terms

if TYPE_CHECKING:
    from queueapp.models import AlertRule
    from queueapp.watch.alerts.facts import Facts, Waiting

_OPEN = "state:queued state:deferred"
SILENT_FOR = timedelta(minutes=15)


def clogged(rule: AlertRule, facts: Facts) -> Iterator[Seen]:
    """At least so many wait, the last try failed, and nothing was delivered for a quarter of an hour."""
    least = int(rule.threshold or 1)
    is_site = rule.scope == "site"
    for each in facts.sites(least) if is_site else facts.domains(least):
        if not each.error_class or (each.delivered_at and facts.now - each.delivered_at < SILENT_FOR):
            continue
        cause = "" if is_site else facts.cause_of_domain.get(each.name, "")
        # The diagnosis names the causes of the deepest only: others are told by the same words, or one cause
        # would be two groups.
        cause = cause or cause_of(each.error_class, each.error_reply) or each.error_class
        yield _seen(each, rule.scope, cause, least)


def _seen(each: Waiting, scope: str, cause: str, least: int) -> Seen:
    known = CAUSES.get(cause)
    title = known.title if known else cause.replace("_", " ")
    return Seen(
        f"{scope}:{each.name}", f"{each.name}: {each.n:,} wait, {title[:1].lower()}{title[1:]}",
        label=each.name, scope=scope, value=each.n, threshold=least, cause=f"clogged:{cause}",
        detail={
            "query": f"{_OPEN} {scope_terms(scope, each.name, each.name)}", "causes": [[title, each.n]],
            "sites": [[each.name, each.n]], "reply": each.error_reply[:300],
            "advice": known.remedy if known else "",
        },
    )  # fmt: skip


def campaign(rule: AlertRule, facts: Facts) -> Iterator[Seen]:
    least = rule.threshold or 0
    for row in facts.campaigns:
        known = CAUSES.get(row.cause)
        if row.n < least or known is None or known.level != "danger":
            continue
        yield Seen(
            f"campaign:{row.key}", f"Campaign {row.key} is stuck: {known.title[:1].lower()}{known.title[1:]}",
            label=row.key, scope="campaign", value=row.n, threshold=least, cause=f"campaign:{row.cause}",
            detail={**of_cause(row), "query": f"{_OPEN} {scope_terms('campaign', row.key)}"},
        )  # fmt: skip


CONDITIONS = (
    Condition(
        "clogged", clogged, "Mail to a receiver is stuck",
        "At least so many deliveries wait for it, and nothing was delivered there for 15 minutes.",
        "deliveries", scopes=("domain", "site"), muted_by=DEAD,
        every=15.0,  # it costs most of a round where much is stuck
    ),
    Condition(
        "campaign_stuck", campaign, "A campaign is stuck",
        "At least so many of its deliveries wait for a cause that is no receiver's mood.", "deliveries",
        scopes=("campaign",), muted_by=DEAD,
    ),
)  # fmt: skip
