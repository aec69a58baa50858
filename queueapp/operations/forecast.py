"""How fast a receiver takes mail, and so how long many will need: shown before a retry, kept to in it.

By the rate that is set for the site or domain, else by what it took a minute in its best quarter of an
hour of the last day. Where neither is known nothing is foretold.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from django.db import connection
from django.utils import timezone

from queueapp import conf
from queueapp.engine.routing import rate_of
from queueapp.models import RecipientDomain, Site
from queueapp.models.bulk import any_of, id_list

Key = tuple[int | None, int | None]
"""(site, domain): one of them."""

# Without a set rate the runners' sessions hold the pace: mail is only kept from coming all at once.
_BEST_EFFORT = 3000.0
_LONGEST = 900.0
_DAY = timedelta(days=1)
_MINUTES = 15


def spread_of(n: int, per_minute: float | None) -> float:
    """Seconds over which `n` mails become due. `per_minute`: the rate that is set."""
    if per_minute:
        return n / per_minute * 60 if n > 1 else 0.0
    return min(n / _BEST_EFFORT * 60, _LONGEST) if n > 100 else 0.0


def key_of(domain_id: int, site_id: int | None, rate: str) -> Key:
    """Its site, or the domain itself where that has a rate of its own or no known site."""
    is_alone = bool(rate) or site_id is None or conf.current().domain_rate is not None
    return (None, domain_id) if is_alone else (site_id, None)


def keys_sql() -> str:
    """The same as two columns, for a domain `d`."""
    alone = "TRUE" if conf.current().domain_rate else "(d.rate <> '' OR d.site_id IS NULL)"
    return f"CASE WHEN {alone} THEN NULL ELSE d.site_id END, CASE WHEN {alone} THEN d.id END"


def rates_of(keys: Iterable[Key]) -> dict[Key, float | None]:
    """Mails a minute that are allowed; None: no limit is set."""
    keys, current = list(keys), conf.current()
    sites: dict[int, str] = {}
    for some in _parts([key[0] for key in keys if key[0]]):
        sites |= Site.objects.filter(pk__in=some).values_list("pk", "rate")
    domains: dict[int, tuple[str, str | None]] = {}
    for some in _parts([key[1] for key in keys if key[1]]):
        rows = RecipientDomain.objects.filter(pk__in=some)
        domains |= {pk: (rate, site) for pk, rate, site in rows.values_list("pk", "rate", "site__rate")}
    found: dict[Key, float | None] = {}
    for key in keys:
        site_id, domain_id = key
        if domain_id is not None:
            rate, of_site = domains.get(domain_id, ("", None))
            known = [rate_of(rate, current.domain_rate), rate_of(of_site or "", current.site_rate)]
        else:
            known = [rate_of(sites.get(site_id or 0, ""), current.site_rate)]
        found[key] = min((each.n / each.per * 60 for each in known if each), default=None)
    return found


def measured(keys: Iterable[Key]) -> dict[Key, float]:
    """Mails a minute that these took in their best quarter of an hour of the last day."""
    found: dict[Key, float] = {}
    for key in keys:
        domains = RecipientDomain.objects.filter(site_id=key[0]) if key[0] else None
        ids = list(domains.values_list("pk", flat=True)[:1000]) if domains else [key[1] or 0]
        best = _best(ids)
        if best:
            found[key] = best
    return found


def _best(domain_ids: list[int]) -> float:
    since = connection.ops.adapt_datetimefield_value(timezone.now() - _DAY)
    quarter = (
        "floor(extract(epoch FROM at) / 900)"
        if connection.vendor == "postgresql"
        else "CAST(strftime('%%s', at) AS INTEGER) / 900"
    )
    sql = f"""
        SELECT max(n) FROM (SELECT sum(n_delivered) AS n FROM queueapp_minute
            WHERE {any_of("domain_id")} AND at >= %s GROUP BY {quarter}) q"""  # noqa: S608  our own words
    with connection.cursor() as cursor:
        cursor.execute(sql, [id_list(domain_ids), since])
        return float(cursor.fetchone()[0] or 0) / _MINUTES


# ── Foretold ──────────────────────────────────────────────────────────────────────────────────

_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Line:
    """`n` mails to `receiver`; `per_minute` None: nothing is known of its speed. `by` rate or measure."""

    receiver: str
    n: int
    per_minute: float | None
    by: Literal["rate", "measured", ""]
    seconds: float | None

    def __str__(self) -> str:
        """41,200 to gmail.com at 120 a minute: about 5 h 43 min."""
        if self.per_minute is None or self.seconds is None:
            return f"{self.n:,} to {self.receiver}: its speed is not known yet"
        return f"{self.n:,} to {self.receiver} at {self.per_minute:,.0f} a minute: about {span(self.seconds)}"


@dataclass(frozen=True, slots=True)
class Forecast:
    """The receivers with the most mail; `seconds` is that of the slowest one, None where none is known."""

    lines: list[Line]
    n_other: int
    seconds: float | None


def forecast(by_domain: Counter[int]) -> Forecast:
    """For so many mails to each domain."""
    by_key: Counter[Key] = Counter()
    for some in _parts(list(by_domain)):
        rows = RecipientDomain.objects.filter(pk__in=some).values_list("pk", "site_id", "rate")
        for pk, site_id, rate in rows:
            by_key[key_of(pk, site_id, rate)] += by_domain[pk]
    top = by_key.most_common(_SHOWN)
    keys = [key for key, _ in top]
    rates, speeds, names = rates_of(keys), measured(keys), _names(keys)
    lines = []
    for key, n in top:
        allowed, took = rates[key], speeds.get(key)
        per_minute = min((each for each in (allowed, took) if each), default=None)
        by: Literal["rate", "measured", ""] = "measured" if per_minute else ""
        if per_minute and per_minute == allowed:
            by = "rate"
        seconds = n / per_minute * 60 if per_minute else None
        lines.append(Line(names[key], n, per_minute, by, seconds))
    known = [line.seconds for line in lines if line.seconds is not None]
    return Forecast(lines, len(by_key) - len(top), max(known, default=None))


def span(seconds: float) -> str:
    """For people: 40 s, 12 min, 5 h 43 min, 3 d 4 h."""
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    hours, days = minutes // 60, minutes // 1440
    if not hours:
        return f"{minutes} min"
    return f"{hours} h {minutes % 60} min" if not days else f"{days} d {hours % 24} h"


def _names(keys: list[Key]) -> dict[Key, str]:
    sites = dict(Site.objects.filter(pk__in={key[0] for key in keys}).values_list("pk", "name"))
    domains = dict(RecipientDomain.objects.filter(pk__in={key[1] for key in keys}).values_list("pk", "name"))
    return {key: sites.get(key[0] or 0) or domains.get(key[1] or 0, "") for key in keys}


def _parts(ids: list[int], size: int = 5000) -> Iterator[list[int]]:
    for start in range(0, len(ids), size):
        yield ids[start : start + size]
