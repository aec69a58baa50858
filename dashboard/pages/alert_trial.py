"""The test of an alert mail: sent at once by the mail's own way out, and what was said is shown.

Not inside a transaction: it may wait for seconds. Every test leaves an audit row, refused ones too.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.module_loading import import_string
from django.views.decorators.http import require_POST

from dashboard.auth.actors import actor
from dashboard.auth.gate import needs
from dashboard.pages.alert_words import sent
from queueapp.access.change import allow, note
from queueapp.mail.address import AddressError, parse_address
from queueapp.models import Notice

_SENDS = "queueapp.watch.notify.trial.mail"


def sender() -> Callable[[str, datetime], Notice] | None:
    """What sends it; None where that part is not built in."""
    try:
        found: Callable[[str, datetime], Notice] = import_string(_SENDS)
    except ImportError:
        return None
    return found


@needs("admin")
@require_POST
def send(request: HttpRequest) -> HttpResponse:
    mail = sender()
    if mail is None:
        raise Http404("alert mail is not built in")
    asked = request.POST.get("to", "").strip()[:320]
    allow(actor(request), "admin", "alert.test", asked)
    try:
        to = str(parse_address(asked))
    except AddressError as error:
        messages.error(request, str(error))
        return redirect("alert-rules")
    notice = mail(to, timezone.now())
    note(actor(request), "alert.test", to, {"state": notice.state, "via": notice.via, "error": notice.error})
    return render(request, "alerts/trial.html", sent(notice))
