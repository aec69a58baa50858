"""Log in, by password and where there is one by a second factor, and log out.

Axes counts failures by name and address, and locks both out together for a while. Between the factors
nobody is logged in: the session only notes, for MOST_BETWEEN seconds, whose password was right. Every
log-in, right or wrong, leaves an audit row.
"""

from __future__ import annotations

import time
from typing import Any

from axes.helpers import get_cool_off
from django.contrib.auth import load_backend, views
from django.contrib.auth import login as enter
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from dashboard.auth import totp
from dashboard.auth.actors import actor, name_of, origin_of
from queueapp.access import refusals
from queueapp.access.change import Actor, audited

_MAX_NEXT = 2000
MOST_BETWEEN = 300
MOST_CODES = 5
_KEY = "between_factors"


class Login(views.LoginView):
    template_name = "auth/login.html"
    redirect_authenticated_user = True

    def get_redirect_url(self, request: HttpRequest | None = None) -> str:
        """Django checks that `next` stays on this host; one that is absurdly long is dropped."""
        url: str = super().get_redirect_url()
        return url if len(url) <= _MAX_NEXT else ""

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        user = form.get_user()
        if totp.device_of(user):
            self.request.session[_KEY] = {
                "user": user.pk, "backend": user.backend, "until": time.time() + MOST_BETWEEN, "n": 0,
            }  # fmt: skip
            query = urlencode({"next": self.get_redirect_url()} if self.get_redirect_url() else {})
            return redirect(f"{redirect('login-code')['Location']}?{query}".rstrip("?"))
        response = super().form_valid(form)
        note_login(self.request, user, "password")
        return response

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        note_refused(self.request, form.data.get("username", ""), "name or password is wrong")
        return super().form_invalid(form)


class Logout(views.LogoutView):
    """By POST only, so that no link or image of a stranger's can do it."""

    http_method_names = ["post", "options"]

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        with audited(actor(request), "", "session.logout", request.user.get_username()):
            pass
        return super().post(request, *args, **kwargs)


@sensitive_post_parameters("code")
@require_http_methods(["GET", "HEAD", "POST"])
def code(request: HttpRequest) -> HttpResponse:
    """The second factor."""
    between: dict[str, Any] = request.session.get(_KEY) or {}
    user = _waiting(between)
    if user is None:
        request.session.pop(_KEY, None)
        return redirect("login")
    context: dict[str, Any] = {"next": _next(request), "wrong": False, "wait": 0}
    if request.method == "POST":
        if totp.is_right(user, request.POST.get("code", "")):
            return _enter(request, user, between["backend"])
        note_refused(request, user.username, "the code is wrong")
        between["n"] += 1
        if between["n"] >= MOST_CODES:
            del request.session[_KEY]
            return redirect("login")
        request.session.modified = True
        context |= {"wrong": True, "wait": totp.wait_of(user)}
    return render(request, "auth/code.html", context)


def _waiting(between: dict[str, Any]) -> User | None:
    if not between or between["until"] < time.time():
        return None
    return load_backend(between["backend"]).get_user(between["user"])


def _enter(request: HttpRequest, user: User, backend: str) -> HttpResponse:
    del request.session[_KEY]
    enter(request, user, backend)
    note_login(request, user, "password and code")
    return redirect(_next(request) or "overview")


def _next(request: HttpRequest) -> str:
    url = request.POST.get("next") or request.GET.get("next", "")
    is_safe = url_has_allowed_host_and_scheme(url, {request.get_host()}, request.is_secure())
    return url if is_safe and len(url) <= _MAX_NEXT else ""


def note_login(request: HttpRequest, user: User, by: str) -> None:
    who = Actor(name_of(user), frozenset(), origin_of(request))
    with audited(who, "", "session.login", user.username) as detail:
        detail |= {"by": by, "browser": request.headers.get("User-Agent", "")[:200]}


def note_refused(request: HttpRequest, name: str, why: str) -> None:
    refusals.note("stranger", origin_of(request), "session.login", str(name)[:150], {"why": why})


def locked_out(request: HttpRequest, *_: Any, **__: Any) -> HttpResponse:
    """What Axes answers after too many failures (AXES_LOCKOUT_CALLABLE)."""
    note_refused(request, request.POST.get("username", ""), "locked after too many failures")
    cool_off = get_cool_off(request)
    seconds = int(cool_off.total_seconds()) if cool_off else 900
    context = {"minutes": max(1, round(seconds / 60))}
    response = render(request, "auth/locked.html", context, status=429)
    response["Retry-After"] = str(seconds)
    return response


def foreign_form(request: HttpRequest, reason: str = "") -> HttpResponse:
    """What a form gets that no page of ours has made (CSRF_FAILURE_VIEW)."""
    asker = actor(request)
    action = f"http.{str(request.method).lower()}"
    told = {"why": "no CSRF token", "reason": reason[:200], "from": request.headers.get("Origin", "")[:200]}
    refusals.note(asker.name, asker.origin, action, request.path, told)
    return render(request, "403_csrf.html", status=403)
