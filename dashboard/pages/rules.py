"""Back-off: what rules do now, the rules in their order, and what they did last."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from dashboard.auth.actors import scopes_of
from dashboard.snapshot import effects, rules

_OVER = 20


@login_required
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    found, count = effects.holding(now)
    context = {
        "effects": found,
        "count": count,
        "over": effects.shown(effects.over(_OVER), now),
        "rules": rules.listed(),
        "scopes": scopes_of(request.user),
    }
    is_part = request.htmx and not request.htmx.history_restore_request  # type: ignore[attr-defined]
    response = render(request, "rules/_effects.html" if is_part else "rules/page.html", context)
    response["Vary"] = "HX-Request"
    return response


@login_required
@require_safe
def strip(request: HttpRequest) -> HttpResponse:
    """What holds, in a line or three: on the board."""
    return render(request, "rules/_strip.html", {**effects.strip(), "scopes": scopes_of(request.user)})
