"""A mail's source as responses that are safe to open: what a stranger wrote never runs as ours.

Message page and sandbox page share these. HTML is answered with a policy of its own that allows
inline style and embedded images, and nothing that is fetched from outside: no script, no tracking
picture, no form; `sandbox` takes the origin away from it even where it is opened in a tab.
"""

from __future__ import annotations

from django.http import HttpResponse

_LOCKED = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; sandbox; frame-ancestors 'self'"


def as_html(html: str) -> HttpResponse:
    return _guarded(HttpResponse(html.encode("utf-8", "replace"), content_type="text/html; charset=utf-8"))


def as_source(raw: bytes) -> HttpResponse:
    text = raw.decode("utf-8", "replace").encode("utf-8", "replace")
    return _guarded(HttpResponse(text, content_type="text/plain; charset=utf-8"))


def as_download(raw: bytes, name: str) -> HttpResponse:
    response = _guarded(HttpResponse(raw, content_type="message/rfc822"))
    response["Content-Disposition"] = f'attachment; filename="{name}.eml"'
    return response


def _guarded(response: HttpResponse) -> HttpResponse:
    response["Content-Security-Policy"] = _LOCKED
    response["X-Content-Type-Options"] = "nosniff"
    response["Cache-Control"] = "no-store"
    response["Referrer-Policy"] = "no-referrer"
    return response
