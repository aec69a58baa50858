"""Browsers ask for /favicon.ico unasked; ours is a drawing among the static files."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponsePermanentRedirect
from django.templatetags.static import static

from dashboard.auth.gate import public


@public
def favicon(request: HttpRequest) -> HttpResponsePermanentRedirect:
    return HttpResponsePermanentRedirect(static("favicon.svg"))
