"""Ways out that can be chosen by name: a new one, a changed one, none any more (access/routes.py acts).

A password that was typed is never shown again, not even where the form comes back with a mistake.
"""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from dashboard.auth.actors import actor
from dashboard.auth.gate import needs
from dashboard.pages.acts import number
from queueapp import conf
from queueapp.access import routes
from queueapp.access.change import AccessError, NotAllowed, Wrong
from queueapp.models import RecipientDomain, Route
from queueapp.models.route import RouteKind, Tls

MOST = 500
_TYPED = ("name", "kind", "host", "port", "username", "tls", "pattern", "position")


@needs("admin")
@require_http_methods(["GET", "HEAD", "POST"])
def page(request: HttpRequest) -> HttpResponse:
    asked: dict[str, Any] = {"kind": "relay", "port": "25", "tls": Tls.OPPORTUNISTIC, "position": "100"}
    if request.method != "POST":
        return _drawn(request, asked)
    asked = _asked(request)
    try:
        made = routes.create(actor(request), asked["name"], asked["kind"], _values(request, asked))
    except NotAllowed:
        raise
    except AccessError as error:
        return _drawn(request, asked, wrong=error)
    messages.success(request, f"The route {made.name} is there: mail goes by it to {made.leads_to}.")
    return redirect("routes")


@needs("admin")
@require_http_methods(["GET", "HEAD", "POST"])
def alter(request: HttpRequest, pk: int) -> HttpResponse:
    row = get_object_or_404(Route, pk=pk)
    if request.method != "POST":
        return _drawn(request, {name: str(getattr(row, name)) for name in _TYPED}, row)
    asked = _asked(request) | {"kind": row.kind}
    try:
        made = routes.alter(actor(request), pk, _values(request, asked))
    except NotAllowed:
        raise
    except AccessError as error:
        return _drawn(request, asked, row, error)
    messages.success(request, f"The route {made} is changed: mail goes by it to {made.leads_to}.")
    return redirect("routes")


@needs("admin")
@require_POST
def remove(request: HttpRequest, pk: int) -> HttpResponse:
    try:
        routes.delete(actor(request), pk)
        messages.success(request, "The route is removed.")
    except NotAllowed:
        raise
    except AccessError as error:
        messages.error(request, str(error))
    return redirect("routes")


def _drawn(
    request: HttpRequest,
    asked: dict[str, Any],
    altered: Route | None = None,
    wrong: AccessError | None = None,
) -> HttpResponse:
    context = {
        "rows": _rows(), "asked": asked, "altered": altered, "kinds": RouteKind.values,
        "tls_modes": Tls.values, "default": conf.current().route.kind, "mistake": wrong,
        "mistake_in": wrong.field if isinstance(wrong, Wrong) else "",
    }  # fmt: skip
    return render(request, "routes/page.html", context, status=422 if wrong else 200)


def _asked(request: HttpRequest) -> dict[str, str]:
    return {name: request.POST.get(name, "").strip()[:255] for name in _TYPED}


def _values(request: HttpRequest, asked: dict[str, Any]) -> dict[str, Any]:
    """Raises Wrong."""
    values: dict[str, Any] = {**asked, "password": request.POST.get("password", "")}
    for name in ("port", "position"):
        typed = values.pop(name)
        if typed:
            values[name] = number(name, typed)
    return values


def _rows() -> list[dict[str, Any]]:
    led = RecipientDomain.objects.filter(route__isnull=False).values_list("route").annotate(n=Count("pk"))
    n_domains = dict(led)
    return [{"row": row, "n_domains": n_domains.get(row.pk, 0)} for row in Route.objects.all()[:MOST]]
