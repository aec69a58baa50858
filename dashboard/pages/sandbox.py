"""What the sandbox took: the list, and one mail of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from dashboard.auth.gate import needs
from dashboard.pages.content import SHOWN, as_download, as_file, as_html, as_source
from queueapp import conf
from queueapp.mail.mime import attachment as part_of
from queueapp.mail.mime import view
from queueapp.sandbox.archive import Archive, Mail

ROWS = 50


@login_required
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    q = request.GET.get("q", "").strip().replace("\0", "")[:200]
    before = _whole(request.GET.get("before", ""))
    archive = _archive()
    found = archive.list_mails(ROWS + 1, before, q)
    context = {
        "q": q,
        "rows": [_row(mail) for mail in found[:ROWS]],
        "before": found[ROWS - 1].id if len(found) > ROWS else None,
        "is_continued": bool(before),
        "counts": archive.counts(),
        "address": str(conf.current().sandbox),
    }
    is_part = request.htmx and not request.htmx.history_restore_request  # type: ignore[attr-defined]
    response = render(request, "sandbox/_results.html" if is_part else "sandbox/page.html", context)
    response["Vary"] = "HX-Request"
    return response


@needs("bodies")
@require_safe
def mail(request: HttpRequest, pk: int) -> HttpResponse:
    found = _get(pk)
    return render(
        request, "sandbox/mail.html", {"row": _row(found), "mail": view(found.content, limit=SHOWN)}
    )


@needs("bodies")
@require_safe
def html(request: HttpRequest, pk: int) -> HttpResponse:
    raw = _get(pk).content
    found = view(raw, limit=SHOWN).html
    if not found:
        raise Http404("this mail has no HTML part")
    return as_html(found, raw)


@needs("bodies")
@require_safe
def source(request: HttpRequest, pk: int) -> HttpResponse:
    return as_source(_get(pk).content)


@needs("bodies")
@require_safe
def eml(request: HttpRequest, pk: int) -> HttpResponse:
    return as_download(_get(pk).content, f"sandbox-{pk}")


@needs("bodies")
@require_safe
def attachment(request: HttpRequest, pk: int, number: int) -> HttpResponse:
    found = part_of(_get(pk).content, number)
    if found is None:
        raise Http404("this mail has no such attachment")
    return as_file(*found, f"sandbox-{pk}-part-{number}")


def _archive() -> Archive:
    return Archive.in_home(conf.current().home)


def _get(pk: int) -> Mail:
    found = _archive().get(pk)
    if found is None:
        raise Http404("the sandbox keeps no mail with this number")
    return found


def _row(mail: Mail) -> dict[str, Any]:
    return {"mail": mail, "at": datetime.fromtimestamp(mail.at, UTC), "n_more": len(mail.recipients) - 1}


def _whole(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0
