"""Rules of alerts, for administrators: what is watched, in sentences; set anew, switched, made, removed."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from dashboard.auth.actors import actor
from dashboard.auth.gate import needs
from dashboard.pages.alert_rule_form import Form, conditions, marked, sentence
from dashboard.pages.alert_words import SCOPES
from queueapp import conf
from queueapp.access import alert_rules, alert_trials
from queueapp.access.change import AccessError, Missing, NotAllowed, Wrong
from queueapp.grammar import GrammarError
from queueapp.models import AlertRule, Severity

MOST = 500


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    rows = AlertRule.objects.order_by("-is_enabled", "pk")[:MOST]
    context = {
        "rows": [{"rule": row, "sentence": sentence(row)} for row in rows],
        "recipients": conf.current().alert_to,
        "places": [place for place in alert_trials.places() if place[0] != alert_trials.EMAIL],
    }
    return render(request, "alerts/rules.html", context)


@needs("admin")
@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    return _form(request, None)


@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Read by everybody who reads; the action says who may change it."""
    rule = AlertRule.objects.filter(pk=pk).first()
    if rule is None:
        raise Http404(f"there is no alert rule {pk}")
    return _form(request, rule)


def _form(request: HttpRequest, rule: AlertRule | None) -> HttpResponse:
    form = Form.of(rule) if request.method != "POST" else Form.typed(request.POST, rule)
    context: dict[str, Any] = {
        "rule": rule,
        "form": form,
        "severities": Severity.values,
        "conditions": conditions(),
        "scopes": SCOPES,
    }
    if request.method == "POST":
        try:
            values = form.values()
            if rule:
                made = alert_rules.change(actor(request), rule.pk, **values)
            else:
                made = alert_rules.add(actor(request), **values)
            messages.success(request, f"{made.name}: kept. It counts from the watch's next look.")
            return redirect("alert-rules")
        except NotAllowed:
            raise
        except GrammarError as error:
            context |= {"mistake": str(error), "wrong": "query", "place": marked(form.query, error)}
        except AccessError as error:
            context |= {"mistake": str(error), "wrong": error.field if isinstance(error, Wrong) else ""}
    if rule:
        context["sentence"] = sentence(rule)
    return render(request, "alerts/rule.html", context, status=422 if "mistake" in context else 200)


@needs("admin")
@require_POST
def switch(request: HttpRequest, pk: int) -> HttpResponse:
    wanted = request.POST.get("to") == "on"

    def act() -> str:
        rule = alert_rules.change(actor(request), pk, is_enabled=wanted)
        return f"{rule.name} is {'on' if wanted else 'off'}."

    return _act(request, act)


@needs("admin")
@require_POST
def remove(request: HttpRequest, pk: int) -> HttpResponse:
    def act() -> str:
        alert_rules.remove(actor(request), pk)
        return "The rule is removed; what it raised is over at the watch's next look."

    return _act(request, act)


def _act(request: HttpRequest, act: Any) -> HttpResponse:
    try:
        messages.success(request, act())
    except NotAllowed:
        raise
    except Missing as error:
        raise Http404(str(error)) from None
    except AccessError as error:
        messages.error(request, str(error))
    return redirect("alert-rules")
