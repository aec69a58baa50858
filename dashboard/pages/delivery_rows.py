"""A line of the list as the page draws it, and `/deliveries/rows`: fresh lines for those that are shown.

A page that hears of changes asks for the ids it shows and puts each line in its place. An id that is no
row any more is answered by a line that says so (`data-state="gone"`), so that nothing vanishes in silence.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest
from django.shortcuts import render
from django.views.decorators.http import require_safe

from queueapp.mail.classify import CLASSES
from queueapp.models import WAITING, Delivery

MOST = 100
_DIGITS = 18  # of the largest number that a column holds for certain


@login_required
@require_safe
def rows(request: HttpRequest) -> HttpResponse:
    asked = request.GET.get("ids", "").split(",")
    if len(asked) > MOST or not all(_is_id(each) for each in asked):
        return HttpResponseBadRequest(f"ids: 1 to {MOST} numbers of deliveries, with commas between.")
    ids = list(dict.fromkeys(int(each) for each in asked))
    there = Delivery.objects.select_related("message").in_bulk(ids)
    found = [{"pk": pk, "row": line(there[pk]) if pk in there else None} for pk in ids]
    return render(request, "deliveries/_rows.html", {"found": found})


def line(delivery: Delivery) -> dict[str, Any]:
    """What a line shows beside the row itself; `message` should be joined in."""
    info = CLASSES.get(delivery.last_class)
    return {
        "delivery": delivery,
        "word": delivery.last_class.replace("_", " "),
        "sentence": info.sentence if info else "",
        "reply": delivery.last_reply or delivery.hold_reason or (info.sentence if info else ""),
        "has_next": delivery.state in WAITING,
    }


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _DIGITS
