"""Lines of the administrator's own, as forms: made, tried, edited, switched, deleted; access/reply_rules.py
acts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from dashboard.auth.actors import actor
from dashboard.auth.gate import needs
from dashboard.snapshot.replies import CLASSES, url_of
from queueapp.access import reply_rules
from queueapp.access.change import AccessError, Missing, NotAllowed, Wrong
from queueapp.access.reply_rules import Asked
from queueapp.mail.patterns import STAGES
from queueapp.mail.providers import PROVIDERS
from queueapp.models import ReplyRule, ReplyTrial
from queueapp.models.reply_rule import OWN_CLASSES

_FIELDS = ("name", "class", "texts", "codes", "stage", "delay", "holds_for", "note", "position")


@needs("admin")
@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    if request.method != "POST":
        typed = {name: request.GET.get(name, "")[:500] for name in _FIELDS}
        return _form(request, None, typed)
    return _done(
        request, None, lambda asked, is_on: reply_rules.create(actor(request), asked, is_on=bool(is_on))
    )


@needs("admin")
@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HttpRequest, pk: int) -> HttpResponse:
    row = get_object_or_404(ReplyRule, pk=pk)
    if request.method != "POST":
        return _form(request, row, _typed_of(row))
    return _done(request, row, lambda asked, is_on: reply_rules.edit(actor(request), pk, asked, is_on=is_on))


@needs("admin")
@require_POST
def switch(request: HttpRequest, pk: int) -> HttpResponse:
    is_on = request.POST.get("on") == "1"
    try:
        row = reply_rules.switch(actor(request), pk, is_on=is_on)
        messages.success(
            request, f"own:{row.name} is {'on' if is_on else 'off'}; runners know within seconds."
        )
    except Missing as error:
        raise Http404(str(error)) from None
    except NotAllowed:
        raise
    except AccessError as error:
        messages.error(request, str(error))
        return redirect("reply-rule", pk)
    return HttpResponseRedirect(url_of(f"own:{row.name}"))


@needs("admin")
@require_POST
def remove(request: HttpRequest, pk: int) -> HttpResponse:
    try:
        reply_rules.delete(actor(request), pk)
    except Missing as error:
        raise Http404(str(error)) from None
    messages.success(request, "The line is deleted. What it decided stays as it was decided.")
    return redirect("replies")


@require_safe
def trial(request: HttpRequest, pk: int) -> HttpResponse:
    """How far a trial is, as a part of the form; a page of its own without htmx."""
    found = _trial(get_object_or_404(ReplyTrial, pk=pk))
    name = "replies/_trial.html" if request.htmx else "replies/trial.html"  # type: ignore[attr-defined]
    return render(request, name, {"trial": found})


def _done(
    request: HttpRequest, row: ReplyRule | None, save: Callable[[Asked, bool | None], ReplyRule]
) -> HttpResponse:
    """`do` is try, save or on."""
    typed = {name: request.POST.get(name, "")[:4_500] for name in _FIELDS}
    do = request.POST.get("do", "save")
    try:
        asked = _asked(typed)
        if do == "try":
            tried = reply_rules.attempt(actor(request), asked)
            return _form(request, row, typed, trial=_trial(tried))
        was_on = row is not None and row.is_on
        made = save(asked, True if do == "on" else None)
    except NotAllowed:
        raise
    except AccessError as error:
        field = error.field if isinstance(error, Wrong) else ""
        return _form(request, row, typed, status=422, mistake=str(error), wrong=field)
    off = " It was switched off: try it as it is now, then switch it on." if was_on and not made.is_on else ""
    state = "counts within seconds" if made.is_on else "is off"
    messages.success(request, f"own:{made.name} is saved and {state}.{off}")
    return HttpResponseRedirect(url_of(f"own:{made.name}"))


def _form(
    request: HttpRequest, row: ReplyRule | None, typed: dict[str, str], status: int = 200, **more: Any
) -> HttpResponse:
    context = {
        "row": row, "typed": typed, "classes": [CLASSES[name] for name in OWN_CLASSES], "stages": STAGES,
        "providers": [each for each in PROVIDERS.values() if each.hosts], **more,
    }  # fmt: skip
    return render(request, "replies/form.html", context, status=status)


def _asked(typed: dict[str, str]) -> Asked:
    """Raises Wrong."""
    holds_for = typed["holds_for"].strip()
    provider = (
        holds_for.partition(" ")[0].removeprefix("provider:") if holds_for.startswith("provider:") else ""
    )
    return Asked(
        name=typed["name"],
        reply_class=typed["class"],
        texts=tuple(typed["texts"].splitlines()),
        codes=tuple(typed["codes"].replace("\n", ",").split(",")),
        stage=typed["stage"],
        delay=_whole("delay", typed["delay"], None),
        provider=provider,
        site="" if provider else holds_for,
        note=typed["note"],
        position=_whole("position", typed["position"], 100) or 0,
    )


def _whole(field: str, text: str, empty: int | None) -> int | None:
    text = text.strip()
    if not text:
        return empty
    if not (text.isascii() and text.isdigit() and len(text) < 7):
        raise Wrong(field, f"{field} {text[:40]!r} is not a whole number")
    return int(text)


def _typed_of(row: ReplyRule) -> dict[str, str]:
    return {
        "name": row.name, "class": row.reply_class, "texts": "\n".join(row.texts), "stage": row.stage,
        "codes": ", ".join(row.codes), "delay": str(row.delay or ""), "note": row.note,
        "holds_for": f"provider:{row.provider}" if row.provider else row.site, "position": str(row.position),
    }  # fmt: skip


def _trial(row: ReplyTrial) -> dict[str, Any]:
    whole = row.n_looked + row.reached - row.first
    same = sum(n for had, gets, n in row.changes if had == gets)
    gets = CLASSES.get(row.line["reply_class"])
    return {
        "row": row, "percent": 100 if row.is_done else min(99, 100 * row.n_looked // max(1, whole)),
        "n_changed": row.n_decided - same, "info": gets,
        "changes": [{"had": had, "gets": gets, "n": n} for had, gets, n in row.changes],
        "groups": [{**each, "had": each["key"][0], "gets": each["key"][1],
                    "code": " ".join(part for part in each["key"][2:4] if part)} for each in row.groups],
    }  # fmt: skip
