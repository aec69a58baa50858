"""Who may open which page: asked before the view runs, and the same words as the API's when it is refused.

A view says what it needs: `@needs("bodies")`, `@own` (whoever is logged in) or `@public`. One that says
nothing needs `read`, so a page that was forgotten is not open. What a view changes is checked by its action
once more; a refusal that an action raises is answered here, too. Every refusal leaves an audit row.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

from django.contrib.auth.models import User
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.deprecation import MiddlewareMixin

from dashboard.auth import totp
from dashboard.auth.actors import actor, role_of
from dashboard.auth.sessions import touch
from queueapp.access.change import NotAllowed, allow
from queueapp.models.access import MEANINGS

F = TypeVar("F", bound=Callable[..., Any])
PUBLIC, OWN, DEFAULT = "public", "own", "read"
_MOST_NAMED = 3


def needs(scope: str) -> Callable[[F], F]:
    """This view is for whoever has the scope."""
    return lambda view: _marked(view, scope)


def own(view: F) -> F:
    """This view is about the person who asks."""
    return _marked(view, OWN)


def public(view: F) -> F:
    """This view asks nobody, or asks by itself."""
    return _marked(view, PUBLIC)


def guard_of(view: Callable[..., Any]) -> str:
    """A scope, OWN or PUBLIC."""
    return str(getattr(view, "guard", DEFAULT))


def _marked(view: F, guard: str) -> F:
    view.guard = guard  # type: ignore[attr-defined]
    return view


class Gate(MiddlewareMixin):
    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: Any, kwargs: Any
    ) -> HttpResponse | None:
        guard = guard_of(view)
        if guard == PUBLIC:
            return None
        if not request.user.is_authenticated:
            return _to_login(request)
        touch(request)
        if guard == OWN:
            return None
        if totp.is_missing(request.user):
            return redirect("totp")
        try:
            allow(actor(request), guard, f"http.{str(request.method).lower()}", request.path)
        except NotAllowed as error:
            return refused(request, error)
        return None

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        return refused(request, error) if isinstance(error, NotAllowed) else None


def refused(request: HttpRequest, error: NotAllowed) -> HttpResponse:
    """403: which permission is missing, what it is for, and who can give it."""
    is_known = request.user.is_authenticated
    context = {
        "scope": error.scope,
        "meaning": MEANINGS.get(error.scope, ""),
        "role": role_of(request.user) if is_known else None,
        "administrators": _administrators() if is_known else [],
        "text": str(error),
    }
    is_part = getattr(request, "htmx", False)
    return render(request, "auth/_refused.html" if is_part else "403.html", context, status=403)


def _administrators() -> list[str]:
    found = User.objects.filter(is_superuser=True, is_active=True).order_by("pk")
    return list(found.values_list("username", flat=True)[:_MOST_NAMED])


def _to_login(request: HttpRequest) -> HttpResponse:
    """A part of a page can't hold the log-in: the whole page goes there, and comes back to where it was."""
    if not getattr(request, "htmx", False):
        return redirect_to_login(request.get_full_path(), reverse("login"))
    here = urlsplit(request.headers.get("HX-Current-URL", ""))
    back = f"{here.path}?{here.query}" if here.query else here.path
    response = HttpResponse(status=401)
    response["HX-Redirect"] = redirect_to_login(back or "/", reverse("login"))["Location"]
    return response
