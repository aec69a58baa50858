"""One site: the provider behind many domains, with its charts, limits and suspensions."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from dashboard.auth.actors import scopes_of
from dashboard.pages.board import with_acts
from dashboard.snapshot import detail
from dashboard.snapshot.history import METRICS, SPANS


@login_required
@require_safe
def page(request: HttpRequest, pk: int) -> HttpResponse:
    found = detail.site(pk)
    if found is None:
        raise Http404(f"There is no site {pk}.")
    context = {
        "row": with_acts("site", found),
        "kind": "site",
        "scopes": scopes_of(request.user),
        "spans": SPANS,
        "metrics": METRICS,
    }
    return render(request, "board/detail.html", context)
