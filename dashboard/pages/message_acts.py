"""What a person does on a message's page: send again, correct an address, copy to the sandbox.

Each is a form that goes to an action and comes back to the page, which says what was done or what stands
against it. Who may not is answered by the gate. Retry, hold and the like are bulk operations on one row.
"""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from dashboard.auth.actors import actor
from dashboard.auth.gate import needs
from queueapp.access.change import AccessError, NotAllowed
from queueapp.models import Delivery, Message
from queueapp.operations import again, copies


@needs("operate")
@require_POST
def send_again(request: HttpRequest, pk: int) -> HttpResponse:
    try:
        made = again.send_again(actor(request), pk, request.POST.get("reason", ""))
    except AccessError as error:
        return _refused(request, error, pk)
    messages.success(request, f"It goes to {made.recipient} once more.")
    return _back(made)


@needs("operate")
@require_POST
def readdress(request: HttpRequest, pk: int) -> HttpResponse:
    try:
        made = again.readdress(
            actor(request), pk, request.POST.get("address", ""), request.POST.get("reason", "")
        )
    except AccessError as error:
        return _refused(request, error, pk)
    messages.success(request, f"It goes to {made.recipient} now.")
    return _back(made)


@needs("operate")
@require_POST
def copy(request: HttpRequest, pk: int) -> HttpResponse:
    message = get_object_or_404(Message, pk=pk)
    try:
        number = copies.copy_to_sandbox(actor(request), pk)
    except NotAllowed:
        raise
    except AccessError as error:
        messages.error(request, str(error))
        return redirect("message", message.pk)
    return redirect("sandbox-mail", number)


def _refused(request: HttpRequest, error: AccessError, pk: int) -> HttpResponse:
    if isinstance(error, NotAllowed):
        raise error
    messages.error(request, str(error))
    return _back(get_object_or_404(Delivery, pk=pk))


def _back(delivery: Delivery) -> HttpResponse:
    page = reverse("message", args=[delivery.message_id])
    return redirect(f"{page}?delivery={delivery.pk}#delivery-{delivery.pk}")
