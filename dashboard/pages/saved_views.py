"""Save, change and delete views. The actions check who may, and leave the audit rows."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from dashboard.auth.actors import actor
from dashboard.pages.list_parts import address
from queueapp.access import views
from queueapp.access.change import AccessError, NotAllowed


@login_required
@require_POST
def save(request: HttpRequest) -> HttpResponse:
    given = {name: request.POST.get(name, "") for name in ("q", "order", "group")}
    name, is_shared = request.POST.get("name", ""), bool(request.POST.get("is_shared"))
    try:
        view = views.save(
            actor(request), name, given["q"], given["order"], given["group"], is_shared=is_shared
        )
        messages.success(request, f"The view {view.name} is saved.")
    except NotAllowed:
        raise
    except AccessError as error:
        messages.error(request, str(error))
    return redirect(address(**given))


@login_required
@require_POST
def change(request: HttpRequest, pk: int) -> HttpResponse:
    name, is_shared = request.POST.get("name", ""), bool(request.POST.get("is_shared"))
    try:
        view = views.change(actor(request), pk, name=name, is_shared=is_shared)
        messages.success(request, f"The view {view.name} is changed.")
    except NotAllowed:
        raise
    except AccessError as error:
        messages.error(request, str(error))
    return _back(request)


@login_required
@require_POST
def remove(request: HttpRequest, pk: int) -> HttpResponse:
    try:
        views.remove(actor(request), pk)
        messages.success(request, "The view is deleted. Its deliveries are as they were.")
    except NotAllowed:
        raise
    except AccessError as error:
        messages.error(request, str(error))
    return _back(request)


def _back(request: HttpRequest) -> HttpResponse:
    """To the list as it was."""
    came_from = request.headers.get("Referer", "")
    is_ours = url_has_allowed_host_and_scheme(came_from, {request.get_host()}, request.is_secure())
    return redirect(came_from if is_ours and "/deliveries" in came_from else address())
