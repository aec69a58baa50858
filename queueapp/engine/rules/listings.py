"""A confirmed listing of one of our sources on a blocklist: what a rule says of it at the sites it hurts.

Only lists that receivers refuse mail for count ("danger"), unless the rule names its lists (`lines`). A pair
is hurt where mail waits for the site and the source is in a pool with another one that is active: without a
way round it nothing would be gained. Promises: bounded by MOST sites a look; an effect ends by itself, and
begins anew while the listing lasts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import F, Sum

from queueapp.engine.rules import effects, ruleset
from queueapp.engine.rules.effects import Target
from queueapp.engine.rules.ruleset import Rule
from queueapp.engine.suspensions import Cause
from queueapp.models import (
    EgressPool,
    EgressSource,
    Listing,
    ListingKind,
    RuleCondition,
    RuleScope,
    Site,
)

MOST = 200
_HURTS = "danger"


@dataclass(frozen=True, slots=True)
class Listed:
    """One of our addresses on a list."""

    address: str
    list_name: str
    severity: str
    reason: str = ""


def look() -> int:
    """Begin what rules say of what is listed now; returns how many effects began."""
    rules = ruleset.enabled(RuleCondition.LISTING)
    return answer(rules, confirmed()) if rules else 0


def confirmed() -> list[Listed]:
    """What the checks of blocklists have confirmed."""
    rows = Listing.objects.confirmed().filter(kind__in=(ListingKind.IP4, ListingKind.IP6))
    fields = ("target", "list_name", "severity", "reason")
    return [Listed(*each) for each in rows.values_list(*fields)[:MOST]]


def answer(rules: Iterable[Rule], listed: Iterable[Listed]) -> int:
    n, sources = 0, {row.address: row for row in EgressSource.objects.filter(is_active=True)}
    for each in listed:
        source = sources.get(each.address)
        rule = next((rule for rule in rules if _counts(rule, each)), None)
        if source is None or rule is None or not _has_way_round(source):
            continue
        said = f"{each.address} is listed by {each.list_name}" + (f": {each.reason}" if each.reason else "")
        for site_id in _waiting(rule):
            target = Target(RuleScope.PAIR, site_id=site_id, source_id=source.pk)
            n += effects.begin(rule, target, Cause("blocklisted", said))[1]
    return n


def _counts(rule: Rule, listed: Listed) -> bool:
    return listed.list_name.lower() in rule.lines if rule.lines else listed.severity == _HURTS


def _has_way_round(source: EgressSource) -> bool:
    pools = EgressPool.objects.filter(members__source=source)
    return EgressSource.objects.filter(pools__in=pools, is_active=True).exclude(pk=source.pk).exists()


def _waiting(rule: Rule) -> list[int]:
    """Sites that mail waits for, the fullest first."""
    waits = Sum(F("domains__n_queued") + F("domains__n_deferred"))
    rows = Site.objects.annotate(n=waits).filter(n__gt=0).order_by("-n").values_list("pk", "name")
    return [pk for pk, name in rows[:MOST] if rule.is_at(name)]
