"""A mail's source as responses that are safe to open: what a stranger wrote never runs as ours.

Message page and sandbox page share these. HTML is answered with a policy of its own that allows
inline style and embedded images, and nothing that is fetched from outside: no script, no tracking
picture, no form; `sandbox` takes the origin away from it even where it is opened in a tab. What a browser
would do before it asks the policy is taken out (mail/quiet_html.py). A file is only ever to be saved.
"""

from __future__ import annotations

from django.http import HttpResponse
from django.utils.http import content_disposition_header

from queueapp.mail.filenames import for_saving
from queueapp.mail.mime import FilePart
from queueapp.mail.pictures import with_pictures
from queueapp.mail.quiet_html import without_ways_out

SHOWN = 500_000
"""So many characters of a text, and of HTML, are shown."""
MOST_SOURCE = 2_000_000
_LOCKED = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; sandbox; frame-ancestors 'self'"


def as_html(html: str, raw: bytes) -> HttpResponse:
    """With the pictures that the mail `raw` brings along."""
    content = with_pictures(without_ways_out(html), raw).encode("utf-8", "replace")
    return _guarded(HttpResponse(content, content_type="text/html; charset=utf-8"))


def as_source(raw: bytes) -> HttpResponse:
    text = raw[:MOST_SOURCE].decode("utf-8", "replace").encode("utf-8", "replace")
    if len(raw) > MOST_SOURCE:
        n_more = len(raw) - MOST_SOURCE
        text += f"\n\n[Cut here: {n_more:,} bytes more. Download the mail to see all of it.]".encode()
    return _guarded(HttpResponse(text, content_type="text/plain; charset=utf-8"))


def as_text(text: str) -> HttpResponse:
    return _guarded(HttpResponse(text, content_type="text/plain; charset=utf-8"))


def as_download(raw: bytes, name: str) -> HttpResponse:
    response = _guarded(HttpResponse(raw, content_type="message/rfc822"))
    response["Content-Disposition"] = f'attachment; filename="{name}.eml"'
    return response


def as_file(part: FilePart, content: bytes, fallback: str) -> HttpResponse:
    """Without the type that the mail says it has: a browser must not be told to open it."""
    response = _guarded(HttpResponse(content, content_type="application/octet-stream"))
    name = for_saving(part.filename, fallback)
    response["Content-Disposition"] = content_disposition_header(as_attachment=True, filename=name)
    return response


def _guarded(response: HttpResponse) -> HttpResponse:
    response["Content-Security-Policy"] = _LOCKED
    response["X-Content-Type-Options"] = "nosniff"
    response["Cross-Origin-Resource-Policy"] = "same-origin"
    response["X-DNS-Prefetch-Control"] = "off"
    response["Cache-Control"] = "no-store"
    response["Referrer-Policy"] = "no-referrer"
    return response
