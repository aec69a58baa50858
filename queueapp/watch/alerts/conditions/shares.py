"""How much of what is tried fails: of all, and of each site against its own usual."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from queueapp.models import EVERY_DOMAIN, Site
from queueapp.watch.alerts.conditions.queue import DEAD, root, why
from queueapp.watch.alerts.facts import MOST
from queueapp.watch.alerts.seen import ALL, Condition, Seen
from queueapp.watch.diagnosis.told import scope_terms

if TYPE_CHECKING:
    from queueapp.models import AlertRule
    from queueapp.watch.alerts.facts import Facts, Sums

OVER = 10  # minutes
LEAST = 50  # attempts; of fewer a share says nothing
FACTOR = 2.0


def deferral(rule: AlertRule, facts: Facts) -> Iterator[Seen]:
    """Deferred of what was tried, in percent: at least the threshold, and twice what is usual there."""
    yield from _share(rule, facts, "deferred")


def bounce(rule: AlertRule, facts: Facts) -> Iterator[Seen]:
    yield from _share(rule, facts, "bounced")


def _share(rule: AlertRule, facts: Facts, metric: str) -> Iterator[Seen]:
    least = rule.threshold or 0
    if rule.scope == ALL:
        share = _of(facts.sums(OVER), metric)
        if (
            share is not None
            and share >= least
            and share >= FACTOR * _usual(facts, [EVERY_DOMAIN], metric)[0]
        ):
            title = f"{share:.0f} % of what was tried in {OVER} minutes is {metric}"
            yield Seen(
                ALL, title, value=share, threshold=least, cause=root(facts), detail=why(facts, _query(metric))
            )
        return
    late = facts.sums_of_sites(OVER)
    high = {
        scope: share for scope, sums in late.items() if (share := _of(sums, metric) or 0) >= max(least, 1)
    }
    scopes = sorted(high, key=lambda scope: -high[scope])[:MOST]
    usual = dict(zip(scopes, _usual(facts, scopes, metric), strict=True))
    names = dict(Site.objects.filter(pk__in=[-scope for scope in scopes]).values_list("pk", "name"))
    for scope in scopes:
        share, name = high[scope], names.get(-scope)
        if name is not None and share >= FACTOR * usual[scope]:
            yield Seen(
                f"site:{name}", f"{name}: {share:.0f} % of what was tried is {metric}", label=name,
                scope="site", value=share, threshold=least, cause=f"share:{metric}",
                detail={
                    "query": f"{_query(metric)} {scope_terms('site', '', name)}",
                    "sites": [[name, late[scope][metric]]],
                },
            )  # fmt: skip


def _usual(facts: Facts, scopes: list[int], metric: str) -> list[float]:
    """In percent, 0 where too little is known; in the order of `scopes`."""
    known = facts.usual(scopes) if scopes else {}
    return [_of(known.get(scope, {}), metric) or 0.0 for scope in scopes]


def storm(rule: AlertRule, facts: Facts) -> Iterator[Seen]:
    """Deferrals a minute, over five: many tries that come to nothing, and few that come to something."""
    late, least = facts.sums(5), rule.threshold or 0
    per_minute = late["deferred"] / 5
    if per_minute >= least and late["deferred"] > 3 * late["delivered"]:
        title = f"{per_minute:,.0f} tries a minute fail for now, and few succeed"
        yield Seen(
            ALL,
            title,
            value=per_minute,
            threshold=least,
            cause=root(facts),
            detail=why(facts, "state:deferred"),
        )


def _of(sums: Sums, metric: str) -> float | None:
    """None: too few to tell."""
    n = sum(sums.get(each) or 0 for each in ("delivered", "deferred", "bounced"))
    return 100.0 * (sums.get(metric) or 0) / n if n >= LEAST else None


def _query(metric: str) -> str:
    return f"state:{metric}"


CONDITIONS = (
    Condition(
        "deferral_share", deferral, "Much is deferred",
        "So many percent of what was tried in ten minutes were deferred, and twice as many as usual there.",
        "percent", scopes=("site", ALL), muted_by=DEAD,
    ),
    Condition(
        "bounce_share", bounce, "Much bounces",
        "So many percent of what was tried in ten minutes bounced, and twice as many as usual there.",
        "percent", scopes=("site", ALL), muted_by=DEAD,
    ),
    Condition(
        "retry_storm", storm, "A storm of retries",
        "So many tries a minute fail for now, three times as many as succeed.", "per_minute",
        muted_by=DEAD,
    ),
)  # fmt: skip
