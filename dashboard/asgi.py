"""The ASGI application: HTTP by Django, WebSockets by Channels."""

from __future__ import annotations

import os
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dashboard.settings")

from channels.routing import ProtocolTypeRouter
from django.core.asgi import get_asgi_application

_http = get_asgi_application()  # first: it loads the apps that the rest needs

from dashboard.api.direct import directly  # noqa: E402
from dashboard.realtime.routing import sockets  # noqa: E402


async def _refuse_unknown_sockets(scope: Any, receive: Any, send: Any) -> None:
    """An address that no route knows is a mistake of the caller's, not an error of ours."""
    try:
        await sockets(scope, receive, send)
    except ValueError as error:
        if "No route found" not in str(error):
            raise
        await send({"type": "websocket.close"})


application = ProtocolTypeRouter({"http": directly(_http), "websocket": _refuse_unknown_sockets})
