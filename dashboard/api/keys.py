"""Who asks, and whether they may: `Authorization: Bearer KEY`, or the browser's session with CSRF.

A key that was looked up counts for KEEP seconds without asking the database again, so that a mail
costs no query for its key; a revoked key is refused that much later at most. Unknown keys are not
kept: nobody can fill our memory by guessing.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from asgiref.sync import sync_to_async
from django.db import close_old_connections, connection
from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone
from ninja.security.base import AuthBase
from ninja.utils import check_csrf

from dashboard.api.errors import ApiError
from dashboard.auth.actors import name_of, origin_of, scopes_of
from dashboard.auth.sessions import touch
from queueapp.access import refusals
from queueapp.access.change import Actor, allow
from queueapp.models import ApiKey
from queueapp.models.access import digest

KEEP = 5.0
_MOST = 1000
_USED_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Who:
    """The asker: `name` goes into messages and audit rows, `scopes` say what they may do."""

    name: str
    scopes: frozenset[str]


_known: dict[str, tuple[float, Who]] = {}


def forget() -> None:
    """Ask the database for every key again."""
    _known.clear()


class Needs(AuthBase):
    """A route's demand: `auth=Needs("read")`. Sets `request.auth` to a `Who`."""

    openapi_type = "http"
    openapi_scheme = "bearer"

    def __init__(self, scope: str) -> None:
        self.scope = scope
        super().__init__()

    def __call__(self, request: HttpRequest) -> Any:
        secret = bearer(request)
        who = _by_key(secret) if secret else _by_session(request)
        return allowed(request, who, self.scope)


class Asks(Needs):
    """For a route whose action checks the scope itself, so that a refusal leaves an audit row, too."""

    def __call__(self, request: HttpRequest) -> Any:
        secret = bearer(request)
        return _by_key(secret) if secret else _by_session(request)


def actor(request: HttpRequest) -> Actor:
    """The asker, as actions want to know it."""
    who: Who = request.auth  # type: ignore[attr-defined]
    return Actor(who.name, who.scopes, origin_of(request))


class NeedsAsync(Needs):
    """The same for async views: a key that is known already costs no thread and no query."""

    def __init__(self, scope: str) -> None:
        super().__init__(scope)
        self.is_async = True

    async def __call__(self, request: HttpRequest) -> Any:
        secret = bearer(request)
        who = _kept(digest(secret)) if secret else None
        if who and self.scope in who.scopes:
            return who
        return await sync_to_async(self._ask)(request)

    def _ask(self, request: HttpRequest) -> Any:
        # Nobody else does it where no middleware runs: a database that was away is met anew.
        if not connection.in_atomic_block:
            close_old_connections()
        return super().__call__(request)


def bearer(request: HttpRequest) -> str:
    """The key that was sent, or "" where there is no such header."""
    header = request.headers.get("Authorization", "")
    if not header:
        return ""
    scheme, _, secret = header.partition(" ")
    if scheme.lower() != "bearer" or not secret.strip():
        raise ApiError(401, "key_missing", "Write the header as: Authorization: Bearer KEY")
    return secret.strip()[:200]


def allowed(request: HttpRequest, who: Who, scope: str) -> Who:
    """Raises NotAllowed, and leaves an audit row."""
    asker = Actor(who.name, who.scopes, origin_of(request))
    allow(asker, scope, f"http.{str(request.method).lower()}", request.path)
    return who


def _kept(key: str) -> Who | None:
    until, who = _known.get(key, (0.0, None))
    return who if until > time.monotonic() else None


def _by_key(secret: str) -> Who:
    key = digest(secret)
    who = _kept(key)
    if who:
        return who
    row = ApiKey.objects.filter(digest=key).first()
    if row is None:
        raise ApiError(401, "key_unknown", "There is no such key. Make one: manage.py apikey create NAME")
    if row.revoked_at:
        raise ApiError(
            401, "key_revoked", f"The key {row.name!r} was revoked on {row.revoked_at:%Y-%m-%d %H:%M} UTC."
        )
    if row.expires_at and row.expires_at <= timezone.now():
        raise ApiError(
            401, "key_expired", f"The key {row.name!r} was good until {row.expires_at:%Y-%m-%d %H:%M} UTC."
        )
    _note_use(row)
    who = Who(row.name, row.allowed)
    if len(_known) >= _MOST:
        _known.clear()
    _known[key] = (time.monotonic() + KEEP, who)
    return who


def _note_use(row: ApiKey) -> None:
    """At most one write a minute and key, however many processes ask."""
    now = timezone.now()
    if row.last_used_at and row.last_used_at > now - _USED_EVERY:
        return
    stale = Q(last_used_at__isnull=True) | Q(last_used_at__lte=now - _USED_EVERY)
    ApiKey.objects.filter(stale, pk=row.pk).update(last_used_at=now)


def _by_session(request: HttpRequest) -> Who:
    user = request.user
    if not user.is_authenticated:
        raise ApiError(401, "key_missing", "Send the header: Authorization: Bearer KEY, or log in.")
    if check_csrf(request):
        action = f"http.{str(request.method).lower()}"
        refusals.note(name_of(user), origin_of(request), action, request.path, {"why": "no CSRF token"})
        raise ApiError(403, "csrf_failed", "The session needs the X-CSRFToken header for this request.")
    touch(request)
    return Who(name_of(user), scopes_of(user))
