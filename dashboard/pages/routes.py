"""Ways out that can be chosen by name: what there is, a new one, and none any more (access/routes.py acts).

A password that was typed is never shown again, not even where the form comes back with a mistake.
"""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
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
_TYPED = ("name", "kind", "host", "port", "username", "tls", "pattern")


@needs("admin")
@require_http_methods(["GET", "HEAD", "POST"])
def page(request: HttpRequest) -> HttpResponse:
    asked: dict[str, Any] = {"kind": "relay", "port": "25", "tls": Tls.OPPORTUNISTIC}
    wrong: AccessError | None = None
    if request.method == "POST":
        asked = {name: request.POST.get(name, "").strip()[:255] for name in _TYPED}
        try:
            made = routes.create(actor(request), asked["name"], asked["kind"], _values(request, asked))
            messages.success(request, f"The route {made.name} is there: mail goes by it to {made.leads_to}.")
            return redirect("routes")
        except NotAllowed:
            raise
        except AccessError as error:
            wrong = error
    context = {
        "rows": _rows(), "asked": asked, "kinds": RouteKind.values, "tls_modes": Tls.values,
        "default": conf.current().route.kind, "mistake": wrong,
        "mistake_in": wrong.field if isinstance(wrong, Wrong) else "",
    }  # fmt: skip
    return render(request, "routes/page.html", context, status=422 if wrong else 200)


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


def _values(request: HttpRequest, asked: dict[str, Any]) -> dict[str, Any]:
    """Raises Wrong."""
    return {**asked, "port": number("port", asked["port"]), "password": request.POST.get("password", "")}


def _rows() -> list[dict[str, Any]]:
    led = RecipientDomain.objects.filter(route__isnull=False).values_list("route").annotate(n=Count("pk"))
    n_domains = dict(led)
    return [{"row": row, "n_domains": n_domains.get(row.pk, 0)} for row in Route.objects.all()[:MOST]]
