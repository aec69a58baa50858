"""Ways out that people choose by name: make, change, remove them, lead a recipient domain by one.

Each is one change with its audit row (access/change.py), which never has a password. Runners follow within
five seconds. A route that something is led by is not removed: its mail would have no way.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, transaction

from queueapp.access.change import Actor, Missing, Taken, Wrong, change, known
from queueapp.access.limits import domain_named
from queueapp.kick import kick
from queueapp.models import FINAL, Delivery, EgressPool, RecipientDomain, Route, State
from queueapp.models.route import RouteKind, Tls

DEFAULT = "default"
"""Instead of a name: no choice, so the domain's own way."""
SCOPE = "admin"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_HOST = re.compile(r"(?=.{1,253}$)(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?)")
_SAID = ("username", "tls", "pattern", "position")
_KEPT = ("host", "port", *_SAID)
_PATTERN = re.compile(r"\*|\.?[a-z0-9_-]+(\.[a-z0-9_-]+)*")


def named(name: str, field: str = "route") -> Route | None:
    """The route of that name; None for `default`. Raises Wrong."""
    if name == DEFAULT:
        return None
    row = Route.objects.filter(name=name[:64]).exclude(name="").first() if name.isprintable() else None
    if row is None:
        names = [*Route.objects.exclude(name="").order_by("name").values_list("name", flat=True)[:20]]
        raise Wrong(field, f"there is no route {name[:64]!r}: one of {', '.join([DEFAULT, *names])}")
    return row


def choices() -> list[Route]:
    """Those that can be chosen."""
    return list(Route.objects.exclude(name="").order_by("name")[:500])


def create(actor: Actor, name: str, kind: str, values: Mapping[str, Any]) -> Route:
    """`values`: `host`, `port`, `username`, `password`, `tls` of a relay, `pattern` and `position` for the
    domains that take it unasked, and the `pool` that it leaves from. Raises AccessError."""
    with change(actor, SCOPE, "route.create", name[:255]) as detail:
        row = Route(name=_name(name), kind=_one_of("kind", kind, RouteKind.values))
        _fill(row, values)
        try:
            with transaction.atomic():
                row.save()
        except IntegrityError:
            raise Taken(f"There is a route {row.name!r} already.") from None
        detail |= {"kind": row.kind, "leads_to": row.leads_to, "pattern": row.pattern, "tls": row.tls}
        kick()
    return row


def alter(actor: Actor, pk: int, values: Mapping[str, Any]) -> Route:
    """`values` as in `create`, with `name`; those that stay are missing or None. The password
    stays where none is given, and goes with the username. Raises AccessError."""
    with change(actor, SCOPE, "route.alter", f"route {pk}") as detail, transaction.atomic():
        row = Route.objects.select_for_update().filter(pk=known(pk)).first()
        if row is None:
            raise Missing(f"There is no route {pk}.")
        before = _said(row)
        values = {name: value for name, value in values.items() if value is not None or name == "pool"}
        row.name = _name(str(values["name"])) if values.get("name") else row.name
        _fill(row, {**{name: getattr(row, name) for name in _KEPT}, "pool": row.pool_id, **values})
        detail |= {"target": str(row), "before": before, "after": _said(row)}
        detail["has_new_password"] = bool(values.get("password"))
        try:
            with transaction.atomic():
                row.save()
        except IntegrityError:
            raise Taken(f"There is a route {row.name!r} already.") from None
        transaction.on_commit(kick)
    return row


def delete(actor: Actor, pk: int) -> None:
    """Raises Taken where open mail or a domain is led by it."""
    with change(actor, SCOPE, "route.delete", f"route {pk}") as detail:
        row = Route.objects.filter(pk=known(pk)).first()
        if row is None:
            raise Missing(f"There is no route {pk}.")
        detail |= {"target": str(row), "leads_to": row.leads_to, "pattern": row.pattern}
        domain = RecipientDomain.objects.filter(route=row).order_by("name").first()
        if domain is not None:
            raise Taken(f"{domain} is led by the route {row}: choose another one for it first.")
        led = Delivery.objects.filter(route=row)
        mail = led.exclude(state__in=FINAL).first() or led.filter(state=State.DELETED).first()
        if mail is not None:
            raise Taken(f"{mail} is led by the route {row}: search route:{row.name}, and lead it elsewhere.")
        row.delete()


def lead_domain(actor: Actor, name: str, route: str) -> RecipientDomain:
    """The domain's mail goes by that route from now on; `default`: by the patterns of routes."""
    with change(actor, SCOPE, "domain.route", name) as detail:
        row, chosen = domain_named(name), named(route)
        detail |= {"before": str(row.route or DEFAULT), "after": str(chosen or DEFAULT)}
        # Its site is found anew: what holds the old one back is none of this way's business.
        RecipientDomain.objects.filter(pk=row.pk).update(route=chosen, site=None)
        row.refresh_from_db()
        kick()
    return row


def _fill(row: Route, values: Mapping[str, Any]) -> None:
    row.pattern = _pattern(str(values.get("pattern") or ""))
    row.position = _within("position", values.get("position", 100), -1_000_000, 1_000_000)
    if row.kind == RouteKind.RELAY:
        row.host, row.port = _host(values.get("host")), _within("port", values.get("port") or 25, 1, 65535)
        row.username, password = _text("username", values), _text("password", values)
        if password and not row.username:
            raise Wrong("username", "a password needs a username")
        if password or not row.username:
            row.keep_password(password)
    row.tls = _one_of("tls", str(values.get("tls") or Tls.OPPORTUNISTIC), Tls.values)
    pool_id = values.get("pool")
    if pool_id is not None and not EgressPool.objects.filter(pk=known(pool_id)).exists():
        raise Wrong("pool", f"there is no pool {pool_id}")
    row.pool_id = pool_id


def _said(row: Route) -> dict[str, Any]:
    """For the audit; no password is in it."""
    return {"name": row.name, "leads_to": row.leads_to, **{name: getattr(row, name) for name in _SAID}}


def _name(name: str) -> str:
    if not _NAME.fullmatch(name) or name.lower() == DEFAULT:
        raise Wrong("name", f"name {name[:80]!r} is not 1 to 64 letters, digits and . _ -, or is {DEFAULT!r}")
    return name


def _one_of(field: str, value: str, allowed: list[str]) -> str:
    if value not in allowed:
        raise Wrong(field, f"{field} {value[:40]!r} is not one of {', '.join(allowed)}")
    return value


def _host(value: Any) -> str:
    if not _HOST.fullmatch(str(value or "")):
        raise Wrong("host", f"host {str(value or '')[:80]!r} is not a host name or an address of a relay")
    return str(value)


def _pattern(value: str) -> str:
    text = value.strip().lower()
    if text and (len(text) > 255 or not _PATTERN.fullmatch(text)):
        raise Wrong("pattern", f"pattern {value[:80]!r} is not example.com, .example.com, * or empty")
    return text


def _text(field: str, values: Mapping[str, Any]) -> str:
    value = str(values.get(field) or "")
    if len(value) > 255 or not value.isprintable():
        raise Wrong(field, f"{field} is not at most 255 printable characters")
    return value


def _within(field: str, value: Any, low: int, high: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise Wrong(field, f"{field} {str(value)[:40]!r} is not a whole number from {low} to {high}")
    return value
