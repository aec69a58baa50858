"""`/deliveries/new`: how many deliveries of a search came in behind the newest one that a page shows.

The page says "37 new, show" and leaves its rows where they are. Counting stops at MOST and looks only
at rows that are newer, so it costs the same in a queue of a million.
"""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponseBadRequest, JsonResponse
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_safe

from queueapp.grammar import GrammarError
from queueapp.models import Delivery

MOST = 999
_DIGITS = 18  # of the largest number that a column holds for certain


@login_required
@require_safe
def count(request: HttpRequest) -> HttpResponseBase:
    after = request.GET.get("after", "")
    if not (after.isascii() and after.isdigit() and len(after) <= _DIGITS):
        return HttpResponseBadRequest("after: the number of a delivery.")
    try:
        rows = Delivery.objects.filter(pk__gt=int(after)).matching(request.GET.get("q", ""))
    except GrammarError as error:
        return HttpResponseBadRequest(str(error))
    n = rows.order_by()[: MOST + 1].count()
    return JsonResponse({"n": min(n, MOST), "is_exact": n <= MOST})
