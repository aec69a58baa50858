"""The test of a channel: sent at once, and what was said is shown, in place or on a page of its own.

Not inside a transaction: it may wait for seconds. The action leaves the audit row, refused ones too.
"""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from dashboard.auth.actors import actor
from dashboard.auth.gate import needs
from dashboard.pages.alert_words import sent
from queueapp.access import alert_trials
from queueapp.access.change import AccessError, NotAllowed


@needs("admin")
@require_POST
def send(request: HttpRequest) -> HttpResponse:
    channel = request.POST.get("channel", alert_trials.EMAIL)[:40]
    is_part = request.htmx  # type: ignore[attr-defined]
    try:
        notice = alert_trials.send(actor(request), channel, request.POST.get("to", "")[:500])
    except NotAllowed:
        raise
    except AccessError as error:
        if is_part:
            return render(request, "alerts/_trial.html", {"mistake": str(error)})
        messages.error(request, str(error))
        return redirect("alert-rules")
    return render(request, "alerts/_trial.html" if is_part else "alerts/trial.html", sent(notice))
