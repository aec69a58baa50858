"""Recipient domains and sites as the board lists them: with depth, state and figures, to be filtered,
ordered and paged by the database. What is read is one row a domain, never a delivery.

States, the worst first; the first that holds is told:

    suspended    by a person; or the site blocks our address and nothing arrived since
    dead         no session to the site could be opened for an hour
    backing_off  no session could be opened a moment ago
    throttled    by a rate of ours, or the last reply was about too much mail or too many connections
    flowing      mail is being sent, or due
    waiting      for its next time
    held         only held mail is left
    idle         nothing is open
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import (
    Case,
    CharField,
    Count,
    DateTimeField,
    Exists,
    F,
    Min,
    OuterRef,
    Q,
    QuerySet,
    Sum,
    Value,
    When,
)
from django.db.models.functions import Coalesce

from queueapp.models.domain import RecipientDomain
from queueapp.models.egress import Suspension
from queueapp.models.site import Site

DEAD_AFTER = timedelta(hours=1)
THROTTLES = ("rate_limited", "busy")
THROTTLED_FOR = timedelta(minutes=15)
"""How long such a reply explains why mail waits."""
STATES = ("suspended", "dead", "backing_off", "throttled", "flowing", "waiting", "held", "idle")
STUCK = STATES[:3]
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


# A page is found in two steps: which rows, by as few columns as that takes (`domain_keys`, `site_keys`),
# then all of them (`domains`, `sites`). Sorting twenty thousand whole rows for fifty costs ten times more.


def domain_keys(now: datetime, *, by_state: bool = False) -> QuerySet[Any]:
    rows = RecipientDomain.objects.annotate(n_open=_open(), n_waiting=_WAITING)
    return rows.annotate(state=_domain_state(now)) if by_state else rows


def site_keys(now: datetime, *, by_state: bool = False) -> QuerySet[Any]:
    if by_state:
        return sites(now)
    return Site.objects.values("pk").annotate(
        n_open=Coalesce(Sum(_open("domains__")), 0),
        n_deferred=Coalesce(Sum("domains__n_deferred"), 0),
        due_at=Min("domains__due_at"),
    )


def maybe_stuck(now: datetime, site: str) -> Q:
    """What every stuck row of the board fulfils and few others do: cheaper to ask than the state. `site` is
    the way to it, "site__" from a domain."""
    held = Suspension.objects.filter(until__gt=now).values("site_id")
    own = Q(**{f"{site}n_failures__gt": 0}) | Q(**{f"{site}backoff_until__gt": now})
    person = Q(suspended_at__isnull=False) if site else Q(domains__suspended_at__isnull=False)
    person |= Q(**{f"{site}suspended_at__isnull": False})
    return own | person | Q(**{f"{site}pk__in": held})


def domains(now: datetime) -> QuerySet[Any]:
    """With `n_open`, `n_waiting` and `state`; site and figures are joined in."""
    rows = RecipientDomain.objects.select_related("site", "figures")
    return rows.annotate(n_open=_open(), n_waiting=_WAITING).annotate(state=_domain_state(now))


def sites(now: datetime) -> QuerySet[Any]:
    """With the counters of their domains in sum, `n_domains`, `due_at` and `state`."""
    sums = {
        f"n_{state}": Coalesce(Sum(f"domains__n_{state}"), 0)
        for state in ("queued", "sending", "deferred", "held", "delivered", "bounced", "expired", "deleted")
    }
    suspended = _suspended(now, "domains__")
    rows = Site.objects.select_related("figures").annotate(
        **sums,
        n_domains=Count("domains"),
        n_suspended=Count("domains", filter=suspended),
        due_at=Min("domains__due_at"),
    )
    rows = rows.annotate(n_waiting=_WAITING, n_open=_open())
    by_person = _suspended(now) | (Q(n_domains__gt=0) & Q(n_suspended=F("n_domains")))
    blocked = _blocked(now, OuterRef("pk"), OuterRef("figures__delivered_at"))
    return rows.annotate(state=_state(now, by_person, blocked, Q(next_at__gt=now), ""))


_WAITING = F("n_queued") + F("n_deferred")


def _open(way: str = "") -> Any:
    return F(f"{way}n_queued") + F(f"{way}n_sending") + F(f"{way}n_deferred") + F(f"{way}n_held")


def _domain_state(now: datetime) -> Case:
    by_person = _suspended(now) | _suspended(now, "site__")
    paced = Q(next_at__gt=now) | Q(site__next_at__gt=now)
    blocked = _blocked(now, OuterRef("site"), OuterRef("figures__delivered_at"))
    return _state(now, by_person, blocked, paced, "site__")


def _suspended(now: datetime, way: str = "") -> Q:
    """By a person, and still."""
    ends = Q(**{f"{way}suspended_until__isnull": True}) | Q(**{f"{way}suspended_until__gt": now})
    return Q(**{f"{way}suspended_at__isnull": False}) & ends


def _blocked(now: datetime, site: OuterRef, delivered_at: OuterRef) -> Exists:
    since = Coalesce(delivered_at, Value(LONG_AGO), output_field=DateTimeField())
    return Exists(Suspension.objects.filter(site=site, until__gt=now, since__gt=since))


def _state(now: datetime, by_person: Q, blocked: Exists, paced: Q, site: str) -> Case:
    def of_site(**conditions: Any) -> Q:
        return Q(**{f"{site}{name}": value for name, value in conditions.items()})

    waits = Q(n_waiting__gt=0)
    # Few sites are: so it is asked first, and the time only of those.
    held = Suspension.objects.filter(until__gt=now).values("site_id")
    told = Q(figures__error_class__in=THROTTLES, figures__error_at__gt=now - THROTTLED_FOR, n_deferred__gt=0)
    return Case(
        When(by_person, then=Value("suspended")),
        When(waits & of_site(n_failures__gt=0, backoff_since__lte=now - DEAD_AFTER), then=Value("dead")),
        When(of_site(backoff_until__gt=now), then=Value("backing_off")),
        When(waits & of_site(pk__in=held) & Q(blocked), then=Value("suspended")),
        When(waits & (paced | (told & Q(figures__outcomes__endswith="w"))), then=Value("throttled")),
        When(Q(n_sending__gt=0) | Q(due_at__lte=now), then=Value("flowing")),
        When(waits, then=Value("waiting")),
        When(n_held__gt=0, then=Value("held")),
        default=Value("idle"),
        output_field=CharField(),
    )
