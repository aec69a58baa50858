"""Who may log in to the submission server: SmtpLogin rows, asked at most every few seconds.

Promises: a revoked login is refused within CACHE_FOR seconds; a wrong password is never cached as
right; the comparison takes the same time whatever is wrong. Database errors reach the caller, which
answers 454 (try later), never 535.
"""

from __future__ import annotations

import asyncio
import hmac
import time

from django.db import close_old_connections
from django.utils import timezone

from queueapp.models import SmtpLogin
from queueapp.models.access import digest

CACHE_FOR = 5.0
USED_EVERY = 60.0
_MOST = 1000


class Logins:
    """`await logins.check(name, password)`: the login's name, or None."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, float]] = {}
        self._used: dict[str, float] = {}

    async def check(self, name: str, password: str) -> str | None:
        name = name[:150]
        if "\0" in name:
            return None
        wanted = self._cached(name)
        if wanted is None:
            wanted = await asyncio.to_thread(self._fetch, name)
        # A name that doesn't exist is compared, too, so that the time doesn't tell.
        is_right = hmac.compare_digest(wanted or digest(""), digest(password)) and bool(wanted)
        if is_right and time.monotonic() - self._used.get(name, -USED_EVERY) >= USED_EVERY:
            self._used[name] = time.monotonic()
            await asyncio.to_thread(_note_use, name)
        return name if is_right else None

    def _cached(self, name: str) -> str | None:
        wanted, until = self._known.get(name, (None, 0.0))
        return wanted if time.monotonic() < until else None

    def _fetch(self, name: str) -> str:
        close_old_connections()
        try:
            row = SmtpLogin.objects.filter(name=name, revoked_at__isnull=True).values_list("digest").first()
        finally:
            close_old_connections()
        if row is None:
            return ""
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[name] = (row[0], time.monotonic() + CACHE_FOR)
        return str(row[0])


def _note_use(name: str) -> None:
    close_old_connections()
    try:
        SmtpLogin.objects.filter(name=name).update(last_used_at=timezone.now())
    finally:
        close_old_connections()
