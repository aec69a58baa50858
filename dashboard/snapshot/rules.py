"""Rules of back-off in words: when, how often, what follows, for how long."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models import Count, Q
from django.urls import reverse
from django.utils import timezone

from dashboard.snapshot.effects import rate_in_words
from queueapp.access import rules as access
from queueapp.models import BackoffRule, Effect, RuleAction, RuleCondition, RuleScope

Row = dict[str, Any]
_DAY = timedelta(days=1)
_WHOM = {
    RuleScope.PAIR: "the source at that site",
    RuleScope.SITE: "the site",
    RuleScope.DOMAIN: "the domain",
    RuleScope.SENDER: "the sender",
    RuleScope.CAMPAIGN: "the campaign",
    RuleScope.LOGIN: "the login",
}
SCOPE_WORDS = {
    RuleScope.PAIR: "our source at the site",
    RuleScope.SITE: "the site",
    RuleScope.DOMAIN: "the recipient domain",
    RuleScope.SENDER: "the sender",
    RuleScope.CAMPAIGN: "the campaign",
    RuleScope.LOGIN: "the login or key",
}
ACTION_WORDS = {
    RuleAction.SLOW: "slow down",
    RuleAction.SUSPEND: "suspend",
    RuleAction.OTHER_SOURCE: "use another source",
    RuleAction.HOLD_CAMPAIGN: "hold the campaign",
    RuleAction.STOP_SENDER: "stop the sender",
}
CONDITION_WORDS = {
    RuleCondition.REPLY: "a receiver's reply",
    RuleCondition.FLOOD: "a flood: far more than is usual",
    RuleCondition.LISTING: "a confirmed listing on a blocklist",
}


def listed() -> list[Row]:
    """All in their order, with how many of their effects hold, and how many there were in a day."""
    now = timezone.now()
    holds = Q(ended_at__isnull=True) & (Q(until__isnull=True) | Q(until__gt=now))
    counts = Effect.objects.filter(since__gt=now - _DAY).values("rule").annotate(n=Count("pk"))
    of_day = dict(counts.values_list("rule", "n"))
    open_now = dict(
        Effect.objects.filter(holds).values("rule").annotate(n=Count("pk")).values_list("rule", "n")
    )
    return [
        {**one(row), "n_open": open_now.get(row.pk, 0), "n_day": of_day.get(row.pk, 0)}
        for row in access.listed()
    ]


def one(row: BackoffRule) -> Row:
    return {
        "id": row.pk,
        "row": row,
        "name": row.name,
        "about": row.about,
        "when": when(row),
        "then": then(row),
        "url": reverse("rule", args=[row.pk]),
        "switch_url": reverse("rule-switch", args=[row.pk]),
    }


def when(row: BackoffRule) -> str:
    """What sets it off."""
    if row.condition == RuleCondition.FLOOD:
        return f"more than {row.n_hits:,} deliveries in {span(row.per)}, and {row.factor:g} times its usual"
    if row.condition == RuleCondition.LISTING:
        return "one of our sources is on a blocklist"
    parts = []
    if row.classes:
        parts.append(f"the class {_any(row.classes)}")
    if row.codes:
        parts.append(f"the code {_any(row.codes)}")
    if row.texts:
        parts.append(f"the words {_any([f'“{each}”' for each in row.texts])}")
    if row.lines:
        parts.append(f"the line {_any(row.lines)}")
    told = f"a reply with {', '.join(parts)}"
    if row.sites:
        told += f", at {_any(row.sites)}"
    return told + (f", {row.n_hits:,} times in {span(row.per)}" if row.n_hits > 1 else ", at once")


def then(row: BackoffRule) -> str:
    """What follows."""
    whom = _WHOM[RuleScope(row.scope)]
    if row.action == RuleAction.SLOW:
        rate = rate_in_words(row.rate)
        to = f"{row.share} % of what went, at least {rate}" if row.share else f"at most {rate}"
        told = f"{whom} gets {to}"
    elif row.action == RuleAction.SUSPEND:
        told = f"{whom} is not used" if row.scope == RuleScope.PAIR else f"nothing goes to {whom}"
    elif row.action == RuleAction.OTHER_SOURCE:
        told = "another source is used at that site, where there is one"
    else:
        told = f"mail of {whom} is held"
    if row.lasts is None:
        return f"{told}, until somebody lifts it"
    grows = row.growth > 1 and row.cap > row.lasts
    return f"{told}, for {span(row.lasts)}" + (f", longer each time, up to {span(row.cap)}" if grows else "")


def span(value: timedelta) -> str:
    """90 s, 15 min, 4 h, 2 d."""
    seconds = int(value.total_seconds())
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size and seconds % size == 0:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _any(values: list[str]) -> str:
    if len(values) > 3:
        return f"{', '.join(values[:2])} or one of {len(values) - 2} more"
    return " or ".join([", ".join(values[:-1]), values[-1]] if len(values) > 1 else values)
