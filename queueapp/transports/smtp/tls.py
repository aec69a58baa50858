"""TLS for a session: contexts, the handshake, and its name for the record.

Promises: `verify` means a chain to a trusted root and the host's name in the certificate; without
it any certificate is taken, since to a receiver that offers no better it still keeps listeners out
(RFC 7435). Never goes on when plain text arrived ahead of the handshake: that is an injection.
On failure raises `HandshakeFailed`; the connection is then closed and of no use.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from functools import lru_cache
from typing import TYPE_CHECKING

from queueapp.transports.smtp.wire import Broken

if TYPE_CHECKING:
    from queueapp.transports.smtp.wire import Wire


class HandshakeFailed(Broken):
    """TLS was agreed on and did not come about."""

    def __init__(self, text: str) -> None:
        super().__init__("tls", text)


def context(*, verify: bool, cafile: str | None) -> ssl.SSLContext:
    """A shared context; a `cafile` that changed on disk is read anew."""
    try:
        return _context(verify, cafile, os.stat(cafile).st_mtime_ns if cafile else 0)
    except OSError as exc:
        reason = "not a PEM file" if isinstance(exc, ssl.SSLError) else exc.strerror
        raise Broken("tls", f"the file of trusted certificates {cafile} can't be read: {reason}") from exc


@lru_cache(maxsize=32)
def _context(verify: bool, cafile: str | None, _changed_at: int) -> ssl.SSLContext:
    made = ssl.create_default_context()
    if cafile:
        made.load_verify_locations(cafile)
    if not verify:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
        made.set_ciphers("DEFAULT:@SECLEVEL=0")  # a weak key is still better than plain text
    return made


async def upgrade(wire: Wire, made: ssl.SSLContext, host: str, seconds: float) -> str:
    """Do the handshake on `wire`; returns protocol and cipher, e.g. "TLSv1.3 TLS_AES_256_GCM_SHA384"."""
    if wire.broken is None and not wire.is_quiet:
        raise Broken("tls", "the server sent plain text ahead of the TLS handshake: possible injection")
    loop = asyncio.get_running_loop()
    name = host.rstrip(".").strip("[]")
    try:
        async with asyncio.timeout(seconds):
            transport = await loop.start_tls(
                wire.transport, wire, made, server_hostname=name, ssl_handshake_timeout=seconds + 5
            )
    except TimeoutError:
        raise _failed(wire, f"timed out after {seconds:g} s") from None
    except Broken as broken:
        raise HandshakeFailed(f"TLS handshake failed: {broken}") from broken
    except ssl.SSLCertVerificationError as exc:
        raise _failed(wire, f"the certificate of {name} is not trusted: {exc.verify_message}") from exc
    except (OSError, ValueError) as exc:  # ssl.SSLError is an OSError; a host that is no name a ValueError
        raise _failed(wire, _reason(exc)) from exc
    if transport is None:
        raise _failed(wire, "the server closed the connection")
    wire.transport = transport
    session = transport.get_extra_info("ssl_object")
    return f"{session.version()} {session.cipher()[0]}"


def _failed(wire: Wire, reason: str) -> HandshakeFailed:
    wire.close()
    return HandshakeFailed(f"TLS handshake failed: {reason}")


def _reason(exc: Exception) -> str:
    if isinstance(exc, ssl.SSLError) and exc.reason:
        return exc.reason.lower().replace("_", " ")
    return str(exc) or type(exc).__name__
