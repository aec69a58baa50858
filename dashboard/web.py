"""Runs the dashboard and the API: uvicorn on a socket that is bound already, or on MAILWEIR_HTTP.

The supervisor binds and keeps the socket, so a restart refuses no connection. `ready` is called when
requests are answered. Proxy headers are believed from MAILWEIR_PROXIES only, since anybody may send them;
open sockets are given three seconds at the end, then dropped: browsers come back by themselves.
"""

from __future__ import annotations

import socket
from collections.abc import Callable

import uvicorn

from queueapp import conf

_BACKLOG = 2048


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()


def server(ready: Callable[[], None]) -> uvicorn.Server:
    """Not yet running; `run(sockets=[…])` blocks until `should_exit` is set or a signal comes."""
    config = uvicorn.Config(
        "dashboard.asgi:application",
        loop="uvloop",
        http="httptools",
        ws="websockets-sansio",
        ws_max_size=4096,  # nobody has anything to tell us
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=bool(conf.current().proxies),
        forwarded_allow_ips=list(conf.current().proxies),
        server_header=False,
        timeout_graceful_shutdown=3,
    )
    return _Server(config, ready)


def serve(sock: socket.socket | None, ready: Callable[[], None]) -> None:
    """Until SIGTERM or SIGINT."""
    listening = sock or _bound()
    try:
        server(ready).run(sockets=[listening])
    finally:
        listening.close()


def _bound() -> socket.socket:
    address = conf.current().http
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    return socket.create_server((address.host, address.port), family=family, backlog=_BACKLOG)
