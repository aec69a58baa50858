"""The live look of a rule's form: what it would tell of now. Asked while somebody types; stores nothing."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from dashboard.auth.actors import actor
from dashboard.auth.gate import needs
from dashboard.pages.alert_rule_form import Form, marked
from dashboard.pages.alert_words import amount
from dashboard.snapshot.links import deliveries
from queueapp.access import alert_rule_trial
from queueapp.access.change import NotAllowed, Wrong
from queueapp.grammar import GrammarError
from queueapp.watch.alerts.conditions import BY_NAME

_ASKED = ("query", "threshold", "scope")
"""Whose mistakes are of interest here; of the others the form tells when it is sent."""


@needs("admin")
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    form = Form.typed(request.GET, None)
    context: dict[str, Any] = {"unit": getattr(BY_NAME.get(form.condition), "unit", "")}
    try:
        values = form.values(_ASKED)
        found = alert_rule_trial.tried(actor(request), values)
        context |= {
            "tried": found,
            "limit": amount(values["threshold"], context["unit"]),
            "link": deliveries(found.query) if found.query else "",
            "n_more": found.n_things - len(found.things),
        }
    except NotAllowed:
        raise
    except GrammarError as error:
        context |= {"mistake": str(error), "place": marked(form.query, error)}
    except Wrong as error:
        context |= {"mistake": str(error)}
    return render(request, "alerts/_tried.html", context)
