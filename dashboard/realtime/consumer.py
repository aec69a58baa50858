"""`/ws/live`: snapshots to one browser. Same origin only, session needed, read-only.

Closes with 4401 where nobody is logged in, at once or within a minute of the log-out, with 4403 where
the person may not read, and with 4400 on a browser that talks. Refusals are in the audit, those of another
origin too. Sends from the latest-only slot: while a send waits for a slow reader,
newer snapshots replace one another.
"""

from __future__ import annotations

import asyncio
from importlib import import_module

from channels.auth import get_user
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings

from dashboard.auth.actors import name_of, scopes_of
from dashboard.realtime.aggregator import aggregator
from dashboard.realtime.origin import is_same_origin
from dashboard.realtime.slot import Slot
from queueapp.access import refusals
from queueapp.access.change import Actor, NotAllowed, allow

NEEDS = "read"
NOBODY = 4401
MAY_NOT = 4403
TALKS = 4400
_MAX_WORDS = 20  # messages that are ignored before the socket is closed
_ASK_AGAIN = 60.0  # seconds between looks at the session


class LiveConsumer(AsyncWebsocketConsumer):
    # No layer has this name: a socket needs none, and so it works while Redis is away.
    channel_layer_alias = "none"
    _slot: Slot | None = None
    _sending: asyncio.Task[None] | None = None
    _n_words = 0

    async def connect(self) -> None:
        if not is_same_origin(self.scope["headers"]):
            await self._note_foreign_page()
            await self.close()  # before the handshake: HTTP 403
            return
        await self.accept()
        if not self.scope["user"].is_authenticated:
            await self.close(NOBODY)
            return
        if not await self._may_read():
            await self.close(MAY_NOT)
            return
        self._slot = Slot()
        self._sending = asyncio.create_task(self._send_all(self._slot), name="live-socket")
        aggregator().join(self._slot)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        self._n_words += 1
        if self._n_words > _MAX_WORDS:
            await self.close(TALKS)

    async def disconnect(self, code: int) -> None:
        if self._slot is not None:
            aggregator().leave(self._slot)
        if self._sending is not None:
            self._sending.cancel()

    async def _send_all(self, slot: Slot) -> None:
        loop = asyncio.get_running_loop()
        ask_at = loop.time() + _ASK_AGAIN
        while True:
            text = await slot.take()
            if loop.time() >= ask_at:
                if not await self._is_still_here():
                    await self.close(NOBODY)
                    return
                ask_at = loop.time() + _ASK_AGAIN
            await self.send(text_data=text)

    async def _is_still_here(self) -> bool:
        """Reads the session anew: the one in the scope is as old as the socket."""
        store = import_module(settings.SESSION_ENGINE).SessionStore
        user = await get_user({**self.scope, "session": store(self.scope["session"].session_key)})
        return NEEDS in await database_sync_to_async(scopes_of)(user)

    @database_sync_to_async
    def _may_read(self) -> bool:
        user = self.scope["user"]
        try:
            allow(
                Actor(name_of(user), scopes_of(user), self._origin()),
                NEEDS,
                "socket.open",
                self.scope["path"],
            )
        except NotAllowed:
            return False
        return True

    @database_sync_to_async
    def _note_foreign_page(self) -> None:
        user = self.scope["user"]
        name = name_of(user) if user.is_authenticated else "stranger"
        told = [value for header, value in self.scope["headers"] if header == b"origin"]
        why = {"why": "foreign origin", "origin": told[0][:200].decode("latin-1") if told else ""}
        refusals.note(name, self._origin(), "socket.open", self.scope["path"], why)

    def _origin(self) -> str:
        return str((self.scope.get("client") or [""])[0])[:64]
