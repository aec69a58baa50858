"""One recipient domain: what waits for it and why, its charts, its limits, its last errors."""

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
def page(request: HttpRequest, name: str) -> HttpResponse:
    found = detail.domain(name)
    if found is None:
        raise Http404(f"There is no recipient domain {name[:255]!r}.")
    context = {
        "row": with_acts("domain", found),
        "kind": "domain",
        "scopes": scopes_of(request.user),
        "spans": SPANS,
        "metrics": METRICS,
    }
    return render(request, "board/detail.html", context)
