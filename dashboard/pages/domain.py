"""One recipient domain: what waits for it and why, its charts, its limits, its last errors."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from dashboard.pages.board import detail_page
from dashboard.snapshot import detail


@login_required
@require_safe
def page(request: HttpRequest, name: str) -> HttpResponse:
    return detail_page(request, "domain", detail.domain(name), f"recipient domain {name[:255]!r}")
