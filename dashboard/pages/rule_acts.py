"""Write a rule, try it over the last day, switch it, remove it (access/rules.py acts)."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from dashboard.auth.actors import actor, scopes_of
from dashboard.auth.gate import needs
from dashboard.pages import rule_form
from dashboard.pages.acts import Act, act_view
from dashboard.snapshot import rules as words
from queueapp.access import rule_trial, rules
from queueapp.access.change import AccessError, Actor, Missing, NotAllowed, Wrong
from queueapp.models import BackoffRule


@needs("admin")
@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """A rule of one's own, maybe after another one (`?like=ID`)."""
    row = BackoffRule(scope="site", action="slow", rate="60/m")
    like = request.GET.get("like", "")
    if like.isascii() and like.isdigit() and len(like) < 19:
        row = _copied(int(like)) or row
    return _form(request, row, None)


def _copied(pk: int) -> BackoffRule | None:
    row = BackoffRule.objects.filter(pk=pk).first()
    if row is not None:
        row.pk, row.key, row.name, row.position = None, None, f"{row.name}, mine"[:100], 100
    return row


@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Whoever may read sees it; an administrator changes it."""
    try:
        row = rules.named(pk)
    except Missing as error:
        raise Http404(str(error)) from None
    return _form(request, row, pk)


def _form(request: HttpRequest, row: BackoffRule, pk: int | None) -> HttpResponse:
    context: dict[str, Any] = {"row": row, "pk": pk, "form": rule_form.shown(row), **rule_form.choices()}
    if pk:
        context["told"] = words.one(row)
    if request.method == "POST":
        context["form"] = form = rule_form.typed(request.POST)
        try:
            done = _done(request, pk, form, context)
            if done:
                return done
        except NotAllowed:
            raise
        except AccessError as error:
            context |= {"mistake": str(error), "wrong": error.field if isinstance(error, Wrong) else ""}
    context["may_write"] = "admin" in scopes_of(request.user) and not row.is_shipped
    context["may_try"] = "admin" in scopes_of(request.user) and row.condition != "listing"
    return render(request, "rules/edit.html", context, status=422 if context.get("mistake") else 200)


def _done(
    request: HttpRequest, pk: int | None, form: dict[str, Any], context: dict[str, Any]
) -> HttpResponse | None:
    """None: it was tried, and the form is shown again."""
    who = actor(request)
    if request.POST.get("do") == "try":
        is_shipped = bool(pk) and context["row"].is_shipped
        context["trial"] = rule_trial.tried(who, {} if is_shipped else rule_form.read(form), pk)
        if is_shipped:
            context["form"] = rule_form.shown(context["row"])
        return None
    values = rule_form.read(form)
    made = rules.update(who, pk, values) if pk else rules.create(who, values)
    messages.success(request, f"The rule “{made.name}” is kept; it counts within seconds.")
    return redirect("rules")


@needs("admin")
@require_POST
def switch(request: HttpRequest, pk: int) -> HttpResponse:
    """On or off, as the button said."""
    is_on = request.POST.get("on") == "yes"
    try:
        row = rules.update(actor(request), pk, {"is_enabled": is_on})
        messages.success(request, f"“{row.name}” is {'on' if is_on else 'off'}, within seconds.")
    except Missing as error:
        raise Http404(str(error)) from None
    return redirect(f"{reverse('rules')}#rule-{pk}")


def _delete(pk: int) -> tuple[Act, str]:
    row = rules.named(pk)

    def do(who: Actor, typed: dict[str, str]) -> str:
        rules.delete(who, row.pk)
        return f"The rule “{row.name}” is removed."

    text = "What it does now goes on to its end, or until somebody lifts it. It can't be undone."
    return Act(f"Remove the rule “{row.name}”?", text, "Remove", do), reverse("rules")


delete = act_view(_delete)
