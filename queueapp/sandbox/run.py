"""Runs the sandbox until SIGTERM or SIGINT: `asyncio.run(serve(…))` by a command or the supervisor.

Ends within 3 seconds of the signal: transactions in flight may finish for 2, then all is closed and
the store's last commit is awaited.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path

from queueapp.sandbox import certificate
from queueapp.sandbox.schema import FILE_NAME
from queueapp.sandbox.server import SandboxHandler, SandboxOptions
from queueapp.sandbox.store import Store
from queueapp.transports.smtp.server import ServerOptions, SmtpServer

_GRACE = 2.0
_TRACE_ROOM = 65_536  # octets: a mail of the allowed size grows by Received fields on its way here


def open_store(home: Path, keep: int = 2000) -> Store:
    return Store(home / FILE_NAME, keep_mails=keep)


def make_server(store: Store, options: SandboxOptions) -> SmtpServer:
    """A sandbox that isn't listening yet; its certificate lies beside the store's file."""
    tls = None
    if options.has_tls:
        tls = certificate.context(store.path.with_name(certificate.FILE_NAME), options.hostname)
    server_options = ServerOptions(
        hostname=options.hostname,
        banner="ESMTP Mailweir sandbox: takes all, delivers nothing",
        max_size=options.max_size + _TRACE_ROOM,
        max_line=0,
        max_connections=0,
        is_strict=options.is_strict,
        tls=tls,
        offers_auth=True,
        offers_requiretls=True,
        auth_without_tls=True,
    )
    return SmtpServer(SandboxHandler(store, options.rules), server_options)


async def serve(
    where: socket.socket | tuple[str, int],
    store: Store,
    options: SandboxOptions | None = None,
    ready: Callable[[tuple[str, int]], None] | None = None,
    stop: asyncio.Event | None = None,
) -> None:
    """Serve on a bound socket or on (host, port) until a signal, or until `stop` is set.

    `ready` is called with the address in use once connections are accepted. Closes the store.
    """
    try:
        await make_server(store, options or SandboxOptions()).serve(where, _GRACE, ready, stop)
    finally:
        await asyncio.to_thread(store.close)
