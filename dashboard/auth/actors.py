"""The person behind a request, as actions want to know them: what pages, the API and sockets share.

Nothing is checked here: the action checks the scope, so that a refusal is the same by page, API and
command, and leaves an audit row. What only reads is checked by the gate (dashboard/auth/gate.py) and the
API's keys, with the same words.
"""

from __future__ import annotations

from typing import Any, cast

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User
from django.http import HttpRequest

from dashboard.auth import totp
from queueapp.access import people, roles
from queueapp.access.change import Actor


def scopes_of(user: AbstractBaseUser | AnonymousUser) -> frozenset[str]:
    """What a person who is logged in may do; nobody else may do anything, nor who has yet to set up the
    second factor that their role demands. Asked once a request."""
    if not user.is_authenticated or not user.is_active:
        return frozenset()
    known: Any = user
    if not hasattr(known, "_scopes"):
        is_missing = totp.is_missing(cast(User, user))
        known._scopes = frozenset() if is_missing else people.scopes_of(cast(User, user))
    return frozenset(known._scopes)


def role_of(user: AbstractBaseUser | AnonymousUser) -> roles.Role:
    return people.role_of(cast(User, user))


def name_of(user: AbstractBaseUser | AnonymousUser) -> str:
    """The prefix keeps a user apart from a key of the same name: the name owns idempotency keys."""
    return f"user:{user.get_username()}"[:150]


def origin_of(request: HttpRequest) -> str:
    """The address that the request came from."""
    return str(request.META.get("REMOTE_ADDR") or "")[:64]


def actor(request: HttpRequest) -> Actor:
    """Who asks through a page; nobody is `stranger`."""
    user = request.user
    name = name_of(user) if user.is_authenticated else "stranger"
    return Actor(name, scopes_of(user), origin_of(request))
