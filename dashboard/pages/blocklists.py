"""Our addresses and domains on blocklists: what is listed and how to get off, all by list, what changed."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from dashboard.auth.actors import actor
from dashboard.auth.gate import needs
from dashboard.snapshot import listings
from dashboard.snapshot.listing_matrix import hurting, matrices
from queueapp.access import blocklists as access
from queueapp.access.change import AccessError, NotAllowed
from queueapp.models import Listing, ListingChange
from queueapp.watch.blocklists import targets

CHANGES = 30
CHANGES_OF_ONE = 200


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    now, ours = timezone.now(), targets.current()
    changes = ListingChange.objects.select_related("listing").order_by("-id")
    context = {
        **listings.about(now),
        "hurting": hurting(now),
        "matrices": matrices(ours, now),
        "n_asked": Listing.objects.filter(asked_at__isnull=False, is_current=True).count(),
        "changes": [_change(each) for each in changes[:CHANGES]],
        "skipped": listings.skipped(ours),
        "lists": listings.lists_told(),
    }
    return _drawn(request, "blocklists/_found.html", "blocklists/page.html", context)


@require_safe
def one(request: HttpRequest, pk: int) -> HttpResponse:
    row = Listing.objects.filter(pk=pk).first()
    if row is None:
        raise Http404(f"there is no listing {pk}")
    now, ours = timezone.now(), targets.current().found.get(row.target)
    context = {
        **listings.about(now),
        "row": listings.told(row, now),
        "is_current": row.is_current,
        "what": ours.what if ours else [],
        "changes": [_change(each) for each in row.changes.order_by("-id")[:CHANGES_OF_ONE]],
    }
    return _drawn(request, "blocklists/_one.html", "blocklists/one.html", context)


@needs("operate")
@require_POST
def check(request: HttpRequest) -> HttpResponse:
    """Ask for a look now; it is done in the background, and the page shows it arriving."""
    target, list_name = (request.POST.get(name, "")[:255] for name in ("target", "list"))
    try:
        n = access.check(actor(request), target, list_name)
        messages.success(
            request, f"{n:,} {'check is' if n == 1 else 'checks are'} under way; they show here as they come."
        )
    except NotAllowed:
        raise
    except AccessError as error:
        messages.error(request, str(error))
    row = Listing.objects.filter(target=target, list_name=list_name).first()
    return redirect("blocklist-listing", row.pk) if row else redirect("blocklists")


def _change(each: ListingChange) -> dict[str, Any]:
    row = each.listing
    return {
        "at": each.at, "was": each.was, "state": each.state, "detail": each.detail, "pk": row.pk,
        "target": row.target, "title": listings.title(row.list_name),
    }  # fmt: skip


def _drawn(request: HttpRequest, part: str, whole: str, context: dict[str, Any]) -> HttpResponse:
    is_part = request.htmx and not request.htmx.history_restore_request  # type: ignore[attr-defined]
    response = render(request, part if is_part else whole, context)
    response["Vary"] = "HX-Request"
    return response
