"""People, for administrators: who there is, and what changes them (access/people.py acts)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.contrib.auth.models import User
from django.db.models import Prefetch, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django_otp.plugins.otp_totp.models import TOTPDevice

from dashboard.auth import welcome
from dashboard.auth.account import rows as session_rows
from dashboard.auth.actors import actor
from dashboard.auth.gate import needs
from queueapp.access import people, roles
from queueapp.access.change import AccessError, Actor, Missing, NotAllowed, audited
from queueapp.models import SCOPES
from queueapp.models.access import MEANINGS

MOST = 200


@needs("admin")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def page(request: HttpRequest) -> HttpResponse:
    context: dict[str, Any] = {"mistake": "", "asked": {"role": roles.VIEWER.name, "name": ""}}
    if request.method == "POST":
        name, role = request.POST.get("name", "").strip(), request.POST.get("role", "")
        try:
            made = people.create(actor(request), name, role)
            context |= {"made": made, "link": _link(request, made)}
        except NotAllowed:
            raise
        except AccessError as error:
            context |= {"mistake": str(error), "asked": {"role": role, "name": name[:100]}}
    part = request.GET.get("q", "").strip()[:100]
    found = _found(part)
    context |= {"rows": [_row(user) for user in found[:MOST]], "q": part, "is_cut": len(found) > MOST}
    context["roles"] = roles.ROLES.values()
    return render(request, "people/page.html", context, status=422 if context["mistake"] else 200)


def _found(part: str) -> list[User]:
    rows: QuerySet[User] = User.objects.order_by("-is_active", "username").prefetch_related(
        "groups", Prefetch("totpdevice_set", TOTPDevice.objects.filter(confirmed=True), to_attr="factors")
    )
    return list((rows.filter(username__icontains=part) if part.isprintable() else rows.none())[: MOST + 1])


def _row(user: User) -> dict[str, Any]:
    names = {group.name for group in user.groups.all()} & set(roles.ROLES)
    role = roles.ADMINISTRATOR if user.is_superuser else roles.strongest(names)
    if user.is_staff and not user.is_superuser and not names:
        role = roles.OPERATOR
    return {
        "user": user,
        "role": role,
        "has_totp": bool(user.factors),  # type: ignore[attr-defined]
        "is_invited": not user.has_usable_password(),
    }


@needs("admin")
@require_safe
def person(request: HttpRequest, pk: int) -> HttpResponse:
    return _person(request, pk)


def _person(request: HttpRequest, pk: int, status: int = 200, **more: Any) -> HttpResponse:
    user = _get(pk)
    single, role = people.permissions_of(user), people.role_of(user)
    context = {
        "person": user,
        "role": role,
        "roles": roles.ROLES.values(),
        "scopes": [
            {
                "name": name,
                "meaning": MEANINGS[name],
                "is_given": name in single,
                "by_role": name in role.scopes,
            }
            for name in SCOPES
        ],
        "has_totp": TOTPDevice.objects.filter(user=user, confirmed=True).exists(),
        "sessions": session_rows(user),
        "is_me": user == request.user,
        **more,
    }
    return render(request, "people/person.html", context, status=status)


@needs("admin")
@never_cache
@require_POST
def act(request: HttpRequest, pk: int, verb: str) -> HttpResponse:
    """One change; what can't be is said on the person's page."""
    user = _get(pk)
    try:
        return VERBS[verb](request, actor(request), user)
    except NotAllowed:
        raise
    except AccessError as error:
        return _person(request, pk, 409, mistake=str(error))


def _get(pk: int) -> User:
    try:
        return people.numbered(pk)
    except Missing as error:
        raise Http404(str(error)) from None


def _done(request: HttpRequest, user: User, text: str) -> HttpResponse:
    messages.success(request, text)
    return redirect("person", user.pk)


def _role(request: HttpRequest, by: Actor, user: User) -> HttpResponse:
    people.change_role(by, user, request.POST.get("role", ""), request.POST.getlist("permission"))
    return _done(request, user, "The role is changed; it counts from the next request on.")


def _deactivate(request: HttpRequest, by: Actor, user: User) -> HttpResponse:
    people.deactivate(by, user)
    return _done(request, user, f"{user.username} can't log in any more.")


def _activate(request: HttpRequest, by: Actor, user: User) -> HttpResponse:
    people.activate(by, user)
    return _done(request, user, f"{user.username} can log in again.")


def _reset_totp(request: HttpRequest, by: Actor, user: User) -> HttpResponse:
    people.reset_totp(by, user)
    return _done(request, user, "The second factor is gone, and all sessions are ended.")


def _end_sessions(request: HttpRequest, by: Actor, user: User) -> HttpResponse:
    with audited(by, "admin", "session.end", user.username) as detail:
        detail["n"] = n = people.end_sessions(user)
    return _done(request, user, f"{n} session{'' if n == 1 else 's'} ended.")


def _new_link(request: HttpRequest, by: Actor, user: User) -> HttpResponse:
    people.note_link(by, user)
    return _person(request, user.pk, link=_link(request, user))


def _link(request: HttpRequest, user: User) -> str:
    return request.build_absolute_uri(welcome.path_for(user))


VERBS: dict[str, Callable[[HttpRequest, Actor, User], HttpResponse]] = {
    "role": _role,
    "deactivate": _deactivate,
    "activate": _activate,
    "totp-reset": _reset_totp,
    "end-sessions": _end_sessions,
    "link": _new_link,
}
