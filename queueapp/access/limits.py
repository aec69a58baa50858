"""Change what a site or a recipient domain takes, lift what holds its mail back, stop and resume.

Each is one change with its audit row (access/change.py). Lifting and resuming make late mail due; how
fast it goes is up to the limits of its site.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F
from django.utils import timezone

from queueapp.access.change import Actor, Missing, Wrong, change, known
from queueapp.conf import rate_or_none
from queueapp.engine import backoff
from queueapp.engine.rules import effects, resuming
from queueapp.engine.rules.effects import Target
from queueapp.kick import kick
from queueapp.models import Effect, RecipientDomain, RuleScope, Site, Suspension

_MOST = {"max_sessions": 1000, "max_mails": 1_000_000}
_LONGEST = timedelta(days=365)


def site_named(site_id: int) -> Site:
    """Raises Missing."""
    site = Site.objects.filter(pk=known(site_id)).first()
    if site is None:
        raise Missing(f"There is no site {site_id}.")
    return site


def domain_named(name: str) -> RecipientDomain:
    """Raises Missing."""
    row = RecipientDomain.objects.named(name)
    if row is None:
        raise Missing(f"There is no recipient domain {name[:255]!r}: nobody ever wrote to it.")
    return row


def set_site_limits(actor: Actor, site_id: int, changes: Mapping[str, Any]) -> Site:
    """`max_sessions`, `max_mails` (whole numbers), `rate` ("600/m", "none"); None: as the settings say."""
    with change(actor, "admin", "site.limits", f"site {site_id}") as detail:
        site = site_named(site_id)
        values: dict[str, Any] = {}
        for field, most in _MOST.items():
            if field in changes:
                values[field] = _number(field, changes[field], most)
        if "rate" in changes:
            values["rate"] = _rate(changes["rate"])
            # What the old rate had put off is looked at by the new one.
            values["next_at"] = None
        detail |= {"target": site.name, "before": {name: _plain(getattr(site, name)) for name in values}}
        detail["after"] = {name: _plain(value) for name, value in values.items()}
        _update(site, values)
        kick()
    return site


def lift_site(actor: Actor, site_id: int) -> int:
    """End the site's back-off, whatever its rate has put off, what rules do there, and the suspensions of
    sources; the mail that waited for them goes, a slice first. Returns how many deliveries are due now."""
    with change(actor, "operate", "site.lift", f"site {site_id}") as detail:
        site, now = site_named(site_id), timezone.now()
        held = Suspension.objects.filter(site=site, until__gt=now)
        since = min([each.since for each in held] + [site.backoff_since or now])
        detail |= {"target": site.name, "backoff": site.backoff_class, "suspensions": held.count()}
        for effect in Effect.objects.open(now).filter(site=site):
            since = min(since, effect.since)
            effects.end(effect, now, actor.name)
        held.update(until=now, lifted_at=now, lifted_by=actor.name[:150])
        backoff.end(site.pk)
        Site.objects.filter(pk=site.pk).update(next_at=None)
        detail["n"] = n = resuming.begin(site.pk, since)
        kick()
    return n


def lift_suspension(actor: Actor, pk: int) -> int:
    """The source may be used at the site again. Returns how many deliveries are due by that."""
    with change(actor, "operate", "suspension.lift", f"suspension {pk}") as detail:
        now = timezone.now()
        row = Suspension.objects.select_for_update(of=("self",)).filter(pk=known(pk)).first()
        if row is None:
            raise Missing(f"There is no suspension {pk}.")
        detail |= {"target": str(row), "reply": row.reply, "until": row.until.isoformat()}
        n = 0
        if row.until > now:
            key = Target(RuleScope.PAIR, row.site_id, row.source_id or 0).key
            for effect in Effect.objects.open(now).filter(key=key):
                effects.end(effect, now, actor.name)
            Suspension.objects.filter(pk=pk).update(until=now, lifted_at=now, lifted_by=actor.name[:150])
            n = resuming.begin(row.site_id, row.since)
            kick()
        detail["n"] = n
    return n


def set_domain_limits(actor: Actor, name: str, changes: Mapping[str, Any]) -> RecipientDomain:
    """`rate` as above; `retry_first`, `retry_cap`, `max_age` in seconds; None: as the settings say."""
    with change(actor, "admin", "domain.limits", name) as detail:
        row = domain_named(name)
        values: dict[str, Any] = {}
        if "rate" in changes:
            values |= {"rate": _rate(changes["rate"]), "next_at": None}
        for field in ("retry_first", "retry_cap", "max_age"):
            if field in changes:
                values[field] = _duration(field, changes[field])
        detail |= {"before": {each: _plain(getattr(row, each)) for each in values}}
        detail["after"] = {each: _plain(value) for each, value in values.items()}
        _update(row, values)
        kick()
    return row


def suspend_domain(
    actor: Actor, name: str, reason: str = "", until: datetime | None = None
) -> RecipientDomain:
    """Nothing to the domain is claimed until it is resumed, or `until`."""
    with change(actor, "operate", "domain.suspend", name) as detail:
        row, now = domain_named(name), timezone.now()
        _check_until(until, now)
        detail |= {"reason": reason[:255], "until": until.isoformat() if until else None}
        _update(row, {"suspended_at": now, "suspended_until": until, "suspended_reason": reason[:255]})
    return row


def resume_domain(actor: Actor, name: str) -> RecipientDomain:
    """Its mail goes again, under the limits of its site."""
    with change(actor, "operate", "domain.resume", name) as detail:
        row = domain_named(name)
        detail |= {"since": _plain(row.suspended_at), "reason": row.suspended_reason}
        _update(row, {"suspended_at": None, "suspended_until": None, "suspended_reason": ""})
        detail["n"] = row.n_queued + row.n_deferred
        kick()
    return row


def suspend_site(actor: Actor, site_id: int, reason: str = "", until: datetime | None = None) -> Site:
    """Nothing to any domain of the site is claimed until it is resumed, or `until`."""
    with change(actor, "operate", "site.suspend", f"site {site_id}") as detail:
        row, now = site_named(site_id), timezone.now()
        _check_until(until, now)
        detail |= {
            "target": row.name, "site": row.pk, "reason": reason[:255],
            "until": until.isoformat() if until else None,
        }  # fmt: skip
        _update(row, {"suspended_at": now, "suspended_until": until, "suspended_reason": reason[:255]})
    return row


def resume_site(actor: Actor, site_id: int) -> Site:
    """Its mail goes again, under its limits; a domain that was suspended by itself stays so."""
    with change(actor, "operate", "site.resume", f"site {site_id}") as detail:
        row = site_named(site_id)
        detail |= {"target": row.name, "since": _plain(row.suspended_at), "reason": row.suspended_reason}
        _update(row, {"suspended_at": None, "suspended_until": None, "suspended_reason": ""})
        kick()
    return row


def _check_until(until: datetime | None, now: datetime) -> None:
    if until is not None and (timezone.is_naive(until) or until <= now):
        raise Wrong("until", f"until {until.isoformat()} is not a time to come, with its zone")


def _update(row: Site | RecipientDomain, values: dict[str, Any]) -> None:
    type(row)._default_manager.filter(pk=row.pk).update(**values or {"name": F("name")})
    row.refresh_from_db()


def _number(field: str, value: Any, most: int) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise Wrong(field, f"{field} {value!r} is not a whole number from 1 to {most:,}")
    return value


def _rate(value: Any) -> str:
    try:
        return "none" if str(value).strip() == "none" else str(rate_or_none(str(value or "")) or "")
    except ValueError as error:
        raise Wrong("rate", f"rate {str(value)[:40]!r} is not {error}") from None


def _duration(field: str, value: Any) -> timedelta | None:
    if value is None:
        return None
    if not 1 <= value <= _LONGEST.total_seconds():
        raise Wrong(field, f"{field} {value!r} is not from 1 second to a year of seconds")
    return timedelta(seconds=value)


def _plain(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value.total_seconds()
    return value.isoformat() if isinstance(value, datetime) else value
