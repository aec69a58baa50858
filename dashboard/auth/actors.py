"""The person behind a request, as actions want to know them: what pages and the API share.

Nothing is checked here: the action checks the scope, so that a refusal is the same by page, API and
command, and leaves an audit row.
"""

from __future__ import annotations

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.http import HttpRequest

from queueapp.access.change import Actor
from queueapp.models import SCOPES


def scopes_of(user: AbstractBaseUser | AnonymousUser) -> frozenset[str]:
    """What a person who is logged in may do; nobody else may do anything."""
    if not user.is_authenticated or not user.is_active:
        return frozenset()
    if getattr(user, "is_superuser", False):
        return frozenset(SCOPES)
    return frozenset(("submit", "read", "operate") if getattr(user, "is_staff", False) else ("read",))


def name_of(user: AbstractBaseUser | AnonymousUser) -> str:
    """The prefix keeps a user apart from a key of the same name: the name owns idempotency keys."""
    return f"user:{user.get_username()}"[:150]


def actor(request: HttpRequest) -> Actor:
    """Who asks through a page."""
    origin = str(request.META.get("REMOTE_ADDR") or "")[:64]
    return Actor(name_of(request.user), scopes_of(request.user), origin)
