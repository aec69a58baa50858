"""`/deliveries/new`: how many deliveries of a search came in behind the newest one that a page shows.

The page says "37 new, show" and leaves its rows where they are. Counting begins at what came last and stops
at MOST, or when its time is up: a page that shows no row asks from the first delivery on.
"""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponseBadRequest, JsonResponse
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_safe

from queueapp.grammar import GrammarError, parse
from queueapp.models.counting import COUNT_TIME, count_newer

MOST = 999
_DIGITS = 18  # of the largest number that a column holds for certain


@login_required
@require_safe
def count(request: HttpRequest) -> HttpResponseBase:
    after = request.GET.get("after", "")
    if not (after.isascii() and after.isdigit() and len(after) <= _DIGITS):
        return HttpResponseBadRequest("after: the number of a delivery.")
    try:
        found = count_newer(parse(request.GET.get("q", "")), int(after), MOST, COUNT_TIME)
    except GrammarError as error:
        return HttpResponseBadRequest(str(error))
    return JsonResponse({"n": found.n, "is_exact": found.is_exact})
