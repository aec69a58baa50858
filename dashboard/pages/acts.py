"""What can be done to a domain or a site, as a form: shown in a dialog of the board, or as a page.

Each is one action of queueapp/access, which checks the scope itself and leaves the audit row, refused
or done. A form that holds what can't be is drawn again with the reason, and what was typed stays.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from dashboard.auth.actors import actor
from queueapp.access.actions import AccessError
from queueapp.access.change import Actor, Missing, NotAllowed, Wrong

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

_SPANS = {
    "1h": timedelta(hours=1),
    "4h": timedelta(hours=4),
    "1d": timedelta(days=1),
    "7d": timedelta(days=7),
}
SPANS = (
    ("", _("until somebody resumes it")),
    ("1h", _("for an hour")),
    ("4h", _("for four hours")),
    ("1d", _("for a day")),
    ("7d", _("for a week")),
)


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    label: str
    value: str = ""
    hint: str = ""
    choices: tuple[tuple[str, StrOrPromise], ...] = ()
    is_needed: bool = False
    type: str = "text"


@dataclass(frozen=True, slots=True)
class Act:
    """`do` takes the actor and what was typed, and returns the sentence that says what was done."""

    title: str
    text: str
    button: str
    do: Callable[[Actor, dict[str, str]], str]
    fields: tuple[Field, ...] = ()
    url: str = ""
    back: str = ""
    error: str = ""
    wrong: str = ""


def act_view(make: Callable[..., tuple[Act, str]]) -> Callable[..., HttpResponse]:
    """`make(**the address)` gives the act and where to go back to. Raises Missing."""

    @login_required
    @require_http_methods(["GET", "HEAD", "POST"])
    def view(request: HttpRequest, **address: Any) -> HttpResponse:
        try:
            act, home = make(**address)
        except Missing as error:
            raise Http404(str(error)) from None
        act = replace(act, url=request.path, back=_back(request, home))
        if request.method != "POST":
            return _shown(request, act, 200)
        typed = {each.name: request.POST.get(each.name, "").strip()[:255] for each in act.fields}
        try:
            done = act.do(actor(request), typed)
        except AccessError as error:
            fields = tuple(_kept(each, typed) for each in act.fields)
            wrong = error.field if isinstance(error, Wrong) else ""
            again = replace(act, fields=fields, error=str(error), wrong=wrong)
            return _shown(request, again, 403 if isinstance(error, NotAllowed) else 422)
        if request.htmx:  # type: ignore[attr-defined]
            return JsonResponse({"done": done})
        messages.success(request, done)
        return HttpResponseRedirect(act.back)

    return view


def _shown(request: HttpRequest, act: Act, status: int) -> HttpResponse:
    name = "board/_form.html" if request.htmx else "board/act.html"  # type: ignore[attr-defined]
    return render(request, name, {"act": act}, status=status)


def _kept(each: Field, typed: dict[str, str]) -> Field:
    """What was typed stays; what was counted is counted anew."""
    return each if each.type == "hidden" else replace(each, value=typed[each.name])


def _back(request: HttpRequest, home: str) -> str:
    """Where the person came from, if that is a page of ours."""
    asked = request.POST.get("back") or request.GET.get("back") or ""
    if asked.startswith("/") and url_has_allowed_host_and_scheme(asked, allowed_hosts=None):
        return asked
    return home


def until(span: str) -> Any:
    """Raises Wrong."""
    if not span:
        return None
    if span not in _SPANS:
        raise Wrong("until", f"{span[:20]!r} is not one of {', '.join(_SPANS)}")
    return timezone.now() + _SPANS[span]


def number(name: str, text: str) -> int | None:
    """Empty: as the settings say. Raises Wrong."""
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise Wrong(name, f"{name} {text[:40]!r} is not a whole number")
    return int(text)
