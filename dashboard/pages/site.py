"""One site: the provider behind many domains, with its charts, limits and suspensions."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from dashboard.pages.board import detail_page
from dashboard.snapshot import detail


@login_required
@require_safe
def page(request: HttpRequest, pk: int) -> HttpResponse:
    return detail_page(request, "site", detail.site(pk), f"site {pk}")
