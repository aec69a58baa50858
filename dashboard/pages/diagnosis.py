"""Why mail waits: all causes of the queue, or of one site, domain, sender or campaign, with their proof."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from dashboard.auth.actors import scopes_of
from dashboard.snapshot import forecast, why
from queueapp.watch.diagnosis.ask import KINDS

MOST = 100
_LONGEST = 512


@login_required
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    kind, key = request.GET.get("scope", "all"), request.GET.get("key")
    if kind not in KINDS or len(key or "") > _LONGEST:
        raise Http404(f"There is no scope {kind[:40]!r}: one of {', '.join(KINDS)}.")
    now = timezone.now()
    context: dict[str, Any] = {"kind": kind, "kinds": KINDS, "scopes": scopes_of(request.user)}
    if kind != "all" and key is None:
        context |= {"rows": why.scopes(kind, MOST), "found": why.overview(now)}
        return render(request, "diagnosis/scopes.html", context)
    found = why.of_scope(kind, "" if kind == "all" else key or "", now)
    if not found["is_known"]:
        raise Http404(f"There is no {kind} {(key or '')[:255]!r}.")
    context |= {"found": found, "drain": forecast.of_scope(kind, found["key"], now)}
    return render(request, "diagnosis/page.html", context)


@login_required
@require_safe
def explained(request: HttpRequest) -> HttpResponse:
    """What each cause means and what to do."""
    return render(request, "diagnosis/help.html", {"causes": why.causes()})
