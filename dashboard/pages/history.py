"""The figures of a chart as data: the page that is open asks when its span changes, and now and then."""

from __future__ import annotations

import orjson
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from dashboard.snapshot import history

_MOST_DIGITS = 18


@login_required
@require_safe
def data(request: HttpRequest) -> HttpResponse:
    """`span`: hour, day, week, month; `scope`: 0 is all mail, a domain's number, or below zero a site's."""
    span, scope = request.GET.get("span", "hour"), request.GET.get("scope", "0")
    digits = scope.removeprefix("-")
    if span not in history.SPANS:
        return _answer({"error": f"span {span[:20]!r} is not one of {', '.join(history.SPANS)}"}, 400)
    if not (digits.isascii() and digits.isdigit() and len(digits) <= _MOST_DIGITS):
        return _answer({"error": f"scope {scope[:20]!r} is not a number"}, 400)
    return _answer(history.chart(span, int(scope)), 200)


def _answer(told: object, status: int) -> HttpResponse:
    body = orjson.dumps(told, option=orjson.OPT_UTC_Z)
    return HttpResponse(body, content_type="application/json", status=status)
