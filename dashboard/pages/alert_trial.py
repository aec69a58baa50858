"""The test of an alert mail: sent at once by the mail's own way out, and what was said is shown.

Not inside a transaction: it may wait for seconds. Every test leaves an audit row, refused ones too.
"""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST

from dashboard.auth.actors import actor
from dashboard.auth.gate import needs
from dashboard.pages.alert_words import sent
from queueapp.access.change import allow, note
from queueapp.mail.address import AddressError, parse_address
from queueapp.watch.notify import trial


@needs("admin")
@require_POST
def send(request: HttpRequest) -> HttpResponse:
    asked = request.POST.get("to", "").strip()[:320]
    allow(actor(request), "admin", "alert.test", asked)
    try:
        to = str(parse_address(asked))
    except AddressError as error:
        messages.error(request, str(error))
        return redirect("alert-rules")
    notice = trial.mail(to, timezone.now())
    note(actor(request), "alert.test", to, {"state": notice.state, "via": notice.via, "error": notice.error})
    return render(request, "alerts/trial.html", sent(notice))
