"""What stands in a message: its HTML, source, attachments, and the whole of it to save.

Every one of these routes is for `bodies`, and reads through `_raw`.
"""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_safe

from dashboard.auth.gate import needs
from dashboard.pages.content import SHOWN, as_download, as_file, as_html, as_source
from queueapp.mail.mime import attachment as part_of
from queueapp.mail.mime import view
from queueapp.models import Body


@needs("bodies")
@require_safe
def html(request: HttpRequest, pk: int) -> HttpResponse:
    raw = _raw(pk)
    found = view(raw, limit=SHOWN).html
    if not found:
        raise Http404("this message has no HTML part")
    return as_html(found, raw)


@needs("bodies")
@require_safe
def source(request: HttpRequest, pk: int) -> HttpResponse:
    return as_source(_raw(pk))


@needs("bodies")
@require_safe
def eml(request: HttpRequest, pk: int) -> HttpResponse:
    return as_download(_raw(pk), f"message-{pk}")


@needs("bodies")
@require_safe
def attachment(request: HttpRequest, pk: int, number: int) -> HttpResponse:
    found = part_of(_raw(pk), number)
    if found is None:
        raise Http404("this message has no such attachment")
    return as_file(*found, f"message-{pk}-part-{number}")


def _raw(pk: int) -> bytes:
    return bytes(get_object_or_404(Body, message_id=pk).content)
