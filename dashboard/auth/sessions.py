"""Sessions that tell where from, since when and when last seen, and that end by age and by idleness.

A SESSION_ENGINE of Django's database kind with a row of our own (dashboard/models.py). Promises: pages, the
API and sockets load sessions here, so one that is over is over for all of them; a row names its key to
nobody: lists use `handle`. Loading writes nothing; `touch` writes once a minute at most.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Any, cast

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions import middleware
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.core.exceptions import SuspiciousOperation
from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone

from dashboard.models import Session
from queueapp import conf

SEEN_EVERY = timedelta(minutes=1)
MOST = 100


class SessionStore(DatabaseStore):
    def __init__(self, session_key: str | None = None, origin: str = "", agent: str = "") -> None:
        super().__init__(session_key)
        self.origin, self.agent = origin, agent
        self.row: Session | None = None

    @classmethod
    def get_model_class(cls) -> type[Session]:
        return Session

    @classmethod
    def clear_expired(cls) -> None:
        """Called by `prune` and by Django's `clearsessions`."""
        Session.objects.over().delete()

    @classmethod
    async def aclear_expired(cls) -> None:
        await sync_to_async(cls.clear_expired)()

    @classmethod
    def end_all(cls, user: User, but: str | None = None) -> int:
        """How many are ended; `but` is the key of one that goes on."""
        return Session.objects.of(user).exclude(pk=but or "").delete()[0]

    def _get_session_from_db(self) -> Session | None:
        try:
            self.row = Session.objects.live().get(session_key=self.session_key)
        except (Session.DoesNotExist, SuspiciousOperation):
            self._session_key = None
            self.row = None
        return self.row

    async def _aget_session_from_db(self) -> Session | None:
        return await sync_to_async(self._get_session_from_db)()

    def create_model_instance(self, data: dict[str, Any]) -> Session:
        made = cast(Session, super().create_model_instance(data))
        made.user_id = data.get(SESSION_KEY) or None
        known = self.row if self.row and self.row.session_key == made.session_key else None
        now = timezone.now()
        made.created_at = known.created_at if known else now
        made.last_seen_at = known.last_seen_at if known else now
        made.origin = known.origin if known else self.origin
        made.agent = known.agent if known else self.agent
        self.row = made
        return made

    async def acreate_model_instance(self, data: dict[str, Any]) -> Session:
        return self.create_model_instance(data)


class SessionMiddleware(middleware.SessionMiddleware):
    def process_request(self, request: HttpRequest) -> None:
        key = request.COOKIES.get(settings.SESSION_COOKIE_NAME)
        origin = str(request.META.get("REMOTE_ADDR") or "")[:64]
        agent = "".join(char for char in request.headers.get("User-Agent", "") if char.isprintable())[:255]
        request.session = SessionStore(key, origin, agent)


def touch(request: HttpRequest) -> None:
    """Somebody was here. A part of a page that draws itself anew is nobody."""
    if getattr(request, "htmx", False) and request.method == "GET":
        return
    row, now = getattr(request.session, "row", None), timezone.now()
    if row is None or row.last_seen_at > now - SEEN_EVERY:
        return
    stale = Q(last_seen_at__lte=now - SEEN_EVERY)
    Session.objects.filter(stale, pk=row.pk).update(last_seen_at=now)


def handle(row: Session) -> str:
    """Names a session on a page without telling its key."""
    return hashlib.sha256(row.session_key.encode()).hexdigest()[:24]


def live_of(user: User) -> list[Session]:
    """The latest used first."""
    return list(Session.objects.live().of(user).order_by("-last_seen_at")[:MOST])


def ends_at(row: Session) -> datetime:
    """When it ends unless somebody is here meanwhile."""
    current = conf.current()
    return min(row.created_at + current.session_age, row.last_seen_at + current.session_idle)
