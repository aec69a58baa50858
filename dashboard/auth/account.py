"""One's own account: what one may, the password, the second factor, and where one is logged in."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.forms import PasswordChangeForm
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST, require_safe

from dashboard.auth import sessions, totp
from dashboard.auth.actors import actor, role_of
from dashboard.auth.browsers import browser_of
from queueapp.access import people, refusals
from queueapp.access.change import audited
from queueapp.models import SCOPES
from queueapp.models.access import MEANINGS


@require_safe
def page(request: HttpRequest, form: Any = None, status: int = 200) -> HttpResponse:
    user = cast(User, request.user)
    may = people.scopes_of(user)
    context = {
        "role": role_of(user),
        "scopes": [{"name": name, "meaning": MEANINGS[name], "has": name in may} for name in SCOPES],
        "form": form or PasswordChangeForm(user),
        "has_totp": totp.device_of(user) is not None,
        "is_demanded": totp.is_demanded(user),
        "n_codes": totp.n_codes(user),
        "sessions": rows(user, request.session.session_key),
    }
    return render(request, "auth/account.html", context, status=status)


def rows(user: User, here: str | None = None) -> list[dict[str, Any]]:
    """Sessions for a list; `here` is the key of the one that asks."""
    return [
        {
            "row": row,
            "handle": sessions.handle(row),
            "is_here": row.session_key == here,
            "browser": browser_of(row.agent),
            "ends_at": sessions.ends_at(row),
        }
        for row in sessions.live_of(user)
    ]


@sensitive_post_parameters()
@require_POST
def password(request: HttpRequest) -> HttpResponse:
    """A new one, against the old one; all other sessions end."""
    user = cast(User, request.user)
    form = PasswordChangeForm(user, request.POST)
    if not form.is_valid():
        why = ", ".join(form.errors)
        asker = actor(request)
        refusals.note(asker.name, asker.origin, "person.password", user.username, {"why": why})
        request.method = "GET"
        return page(request, form, 422)
    with audited(actor(request), "", "person.password", user.username) as detail:
        form.save()
        update_session_auth_hash(request, user)
        request.session.save()
        detail["sessions"] = people.end_sessions(user, request.session.session_key)
    messages.success(request, "The password is changed, and all other sessions are ended.")
    return redirect("account")


@require_POST
def end_session(request: HttpRequest, handle: str) -> HttpResponse:
    """One of one's own; another's is none."""
    user = cast(User, request.user)
    found = [row for row in sessions.live_of(user) if sessions.handle(row) == handle]
    if not found:
        asker = actor(request)
        refusals.note(asker.name, asker.origin, "session.end", handle, {"why": "no session of theirs"})
        return HttpResponse("There is no such session of yours.\n", status=404, content_type="text/plain")
    with audited(actor(request), "", "session.end", user.username) as detail:
        detail |= {"from": found[0].origin, "browser": browser_of(found[0].agent)}
        found[0].delete()
    messages.success(request, "The session is ended.")
    return redirect("account")


@require_POST
def end_others(request: HttpRequest) -> HttpResponse:
    user = cast(User, request.user)
    with audited(actor(request), "", "session.end", user.username) as detail:
        detail["n"] = n = people.end_sessions(user, request.session.session_key)
    messages.success(request, f"{n} other session{'' if n == 1 else 's'} ended.")
    return redirect("account")


@never_cache
def second_factor(request: HttpRequest) -> HttpResponse:
    """Shows a secret, and takes a code made of it; then the recovery codes are shown, once."""
    user = cast(User, request.user)
    codes, wrong = None, ""
    if request.method == "POST":
        codes, wrong = _confirmed(user, request)
    if codes:
        with audited(actor(request), "", "person.totp", user.username) as detail:
            detail["sessions"] = people.end_sessions(user, request.session.session_key)
        return render(request, "auth/codes.html", {"codes": codes})
    device = totp.begin(user)
    context = {
        "picture": totp.picture(device), "secret": totp.secret(device), "wrong": wrong,
        "has_totp": totp.device_of(user) is not None, "is_demanded": totp.is_demanded(user),
    }  # fmt: skip
    return render(request, "auth/totp.html", context, status=422 if wrong else 200)


def _confirmed(user: User, request: HttpRequest) -> tuple[list[str] | None, str]:
    """Against the password, so that a browser that was left alone can't be made somebody else's."""
    if not user.check_password(request.POST.get("password", "")):
        asker = actor(request)
        refusals.note(asker.name, asker.origin, "person.totp", user.username, {"why": "wrong password"})
        return None, "password"
    codes = totp.confirm(user, request.POST.get("code", ""))
    return codes, "" if codes else "code"


@never_cache
@require_POST
def recovery(request: HttpRequest) -> HttpResponse:
    """New recovery codes, against a code of the app."""
    user = cast(User, request.user)
    if not totp.is_right(user, request.POST.get("code", "")):
        return _refused(request, "person.codes")
    with audited(actor(request), "", "person.codes", user.username):
        codes = totp.new_codes(user)
    return render(request, "auth/codes.html", {"codes": codes})


@require_POST
def no_second_factor(request: HttpRequest) -> HttpResponse:
    """Off, against a code; not where the role demands one."""
    user = cast(User, request.user)
    if totp.is_demanded(user) or not totp.is_right(user, request.POST.get("code", "")):
        return _refused(request, "person.totp-off")
    with audited(actor(request), "", "person.totp-off", user.username):
        totp.remove(user)
    messages.success(request, "The second factor is off.")
    return redirect("account")


def _refused(request: HttpRequest, action: str) -> HttpResponse:
    asker = actor(request)
    name = request.user.get_username()
    refusals.note(
        asker.name, asker.origin, action, name, {"why": "the code is wrong, or the role demands it"}
    )
    wait = totp.wait_of(cast(User, request.user))
    text = f"That code is not right. {f'Wait {wait} s and try again.' if wait else 'Each code counts once.'}"
    messages.error(request, text)
    return redirect("account")
