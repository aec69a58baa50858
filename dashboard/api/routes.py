"""Ways out that are chosen by name, and the one of a recipient domain (access/routes.py acts)."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import Router, Schema, Status
from pydantic import Field

from dashboard.api.errors import Error
from dashboard.api.keys import Asks, Needs, actor
from dashboard.api.sites import Strict
from queueapp.access import routes
from queueapp.models import Route

router = Router(tags=["limits"])
_REFUSALS = {(401, 403, 404, 409, 422, 503): Error}
MOST = 500


class RouteIn(Strict):
    name: str = Field(max_length=64, description="Letters, digits and . _ -; `default` is none.")
    kind: str = Field(description="`mx`, `relay` or `sandbox`.")
    host: str = Field("", max_length=255, description="Of a relay.")
    port: int = 25
    username: str = Field("", max_length=255)
    password: str = Field("", max_length=255, description="Never told again.")
    tls: str = Field("opportunistic", description="`none`, `opportunistic`, `required` or `implicit`.")
    pattern: str = Field("", max_length=255, description="Domains that take it unasked; empty: none.")
    position: int = Field(100, description="Of those that match the lowest is taken.")
    pool: int | None = Field(None, description="The egress pool that it leaves from.")


class RouteChange(Strict):
    """What is left out stays as it is."""

    name: str | None = Field(None, max_length=64)
    host: str | None = Field(None, max_length=255)
    port: int | None = None
    username: str | None = Field(None, max_length=255, description="Empty: no login, and no password.")
    password: str | None = Field(None, max_length=255, description="Empty or left out: the one it has.")
    tls: str | None = None
    pattern: str | None = Field(None, max_length=255)
    position: int | None = None
    pool: int | None = None


class RouteOut(Schema):
    id: int
    name: str
    kind: str
    host: str
    port: int
    username: str
    tls: str
    pattern: str
    position: int
    pool: int | None


class DomainRouteIn(Strict):
    route: str = Field(max_length=64, description="The name of a route, or `default`.")


class DomainRouteOut(Schema):
    name: str
    route: str


@router.get("/routes", auth=Needs("read"), response={200: list[RouteOut], (401, 403, 503): Error})
def list_routes(request: HttpRequest) -> list[dict[str, Any]]:
    """In the order in which their patterns are asked; the first 500."""
    return [_shown(row) for row in Route.objects.all()[:MOST]]


@router.post("/routes", auth=Asks("admin"), response={201: RouteOut, **_REFUSALS})
def create_route(request: HttpRequest, asked: RouteIn) -> Status[dict[str, Any]]:
    """A way out that deliveries and domains can be led by."""
    values = asked.dict()
    made = routes.create(actor(request), values.pop("name"), values.pop("kind"), values)
    return Status(201, _shown(made))


@router.patch("/routes/{route_id}", auth=Asks("admin"), response={200: RouteOut, **_REFUSALS})
def alter_route(request: HttpRequest, route_id: int, asked: RouteChange) -> dict[str, Any]:
    """Mail that waits takes it as it is now, within five seconds."""
    return _shown(routes.alter(actor(request), route_id, asked.dict(exclude_unset=True)))


@router.delete("/routes/{route_id}", auth=Asks("admin"), response={204: None, **_REFUSALS})
def delete_route(request: HttpRequest, route_id: int) -> Status[None]:
    """409 while open mail or a domain is led by it."""
    routes.delete(actor(request), route_id)
    return Status(204, None)


@router.post("/domains/{name}/route", auth=Asks("admin"), response={200: DomainRouteOut, **_REFUSALS})
def lead_domain(request: HttpRequest, name: str, asked: DomainRouteIn) -> dict[str, str]:
    """All its mail goes by that route from its next attempt on."""
    row = routes.lead_domain(actor(request), name, asked.route)
    return {"name": row.name, "route": str(row.route or routes.DEFAULT)}


def _shown(row: Route) -> dict[str, Any]:
    names = ("name", "kind", "host", "port", "username", "tls", "pattern", "position")
    return {"id": row.pk, "pool": row.pool_id, **{name: getattr(row, name) for name in names}}
