"""Log in and out. Axes counts failures by name and address, and locks both out together for a while."""

from __future__ import annotations

from typing import Any

from axes.helpers import get_cool_off
from django.contrib.auth import views
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

_MAX_NEXT = 2000


class Login(views.LoginView):
    template_name = "auth/login.html"
    redirect_authenticated_user = True

    def get_redirect_url(self, request: HttpRequest | None = None) -> str:
        """Django checks that `next` stays on this host; one that is absurdly long is dropped."""
        url: str = super().get_redirect_url()
        return url if len(url) <= _MAX_NEXT else ""


class Logout(views.LogoutView):
    """By POST only, so that no link or image of a stranger's can do it."""

    http_method_names = ["post", "options"]


def locked_out(request: HttpRequest, *_: Any, **__: Any) -> HttpResponse:
    """What Axes answers after too many failures (AXES_LOCKOUT_CALLABLE)."""
    cool_off = get_cool_off(request)
    seconds = int(cool_off.total_seconds()) if cool_off else 900
    context = {"minutes": max(1, round(seconds / 60))}
    response = render(request, "auth/locked.html", context, status=429)
    response["Retry-After"] = str(seconds)
    return response
