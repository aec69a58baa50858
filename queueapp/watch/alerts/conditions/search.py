"""What somebody wants to be told of: how many deliveries match a search of theirs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from queueapp.watch.alerts import searches
from queueapp.watch.alerts.seen import ALL, Condition, Seen

if TYPE_CHECKING:
    from queueapp.models import AlertRule
    from queueapp.watch.alerts.facts import Facts


def search(rule: AlertRule, facts: Facts) -> Iterator[Seen]:
    """More than the limit match. Raises Unknown where that could not be told in time."""
    limit = rule.threshold or 0
    found = searches.counted(searches.checked(rule.query), limit, facts.now)
    is_above = found.is_above(limit)
    if is_above is None:
        raise searches.Unknown(rule.query)
    if is_above:
        n = f"More than {found.n:,}" if found.is_cut else f"{found.n:,}"
        yield Seen(
            ALL, f"{n} deliveries match {rule.query}", label=rule.query, threshold=limit,
            value=None if found.is_cut else found.n, cause=f"search:{rule.pk}",
            detail={"query": rule.query, "advice": rule.about},
        )  # fmt: skip


CONDITIONS = (
    Condition(
        "search", search, "Deliveries that match a search", "More than so many deliveries match it.",
        "deliveries", every=60.0, has_search=True, than="more than",
    ),
)  # fmt: skip
