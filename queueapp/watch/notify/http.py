"""HTTP to the outside: a webhook, Slack, a ping. One request, one answer, no surprises.

Promises: a name is looked up once, the addresses are checked, and the connection goes to one that was
checked, so that no name can lead to this machine's own network unless MAILWEIR_ALERT_PRIVATE allows it;
no redirect, no proxy, no cookie; time and size are bounded. Never raises for what a server or the
network did; what it tells holds no secret of the address.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from queueapp.mail.reply import clean

if TYPE_CHECKING:
    from aiohttp.abc import ResolveResult

WITHIN = 10.0
_ANSWER = 300
NOT_ALLOWED = (
    "{host} is {address}, which is no public address: set MAILWEIR_ALERT_PRIVATE=yes if that is wanted"
)


@dataclass(frozen=True, slots=True)
class Answer:
    is_fine: bool
    text: str


class Refused(OSError):
    """An address that may not be asked."""


def ask(
    method: str, url: str, *, content: bytes | None = None, headers: dict[str, str] | None = None,
    allows_private: bool = False, cafile: str | None = None, within: float = WITHIN,
) -> Answer:  # fmt: skip
    """`is_fine`: 2xx. `text`: what was answered, or what went wrong, in one line."""
    return asyncio.run(_ask(method, url, content, headers or {}, allows_private, cafile, within))


async def _ask(
    method: str, url: str, content: bytes | None, headers: dict[str, str], allows_private: bool,
    cafile: str | None, within: float,
) -> Answer:  # fmt: skip
    import aiohttp

    host = urlsplit(url).hostname or ""
    try:
        _check_literal(host, allows_private)
        connector = aiohttp.TCPConnector(
            resolver=_names(allows_private),
            use_dns_cache=False,
            ssl=ssl.create_default_context(cafile=cafile),
        )
        async with (
            asyncio.timeout(within),
            aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                auto_decompress=False,
            ) as session,
            session.request(method, url, data=content, headers=headers, allow_redirects=False) as answer,
        ):
            said = (await answer.content.read(_ANSWER)).decode("utf-8", "replace")
            text = clean(f"HTTP {answer.status} {answer.reason or ''} {said}", _ANSWER)
            return Answer(200 <= answer.status < 300, text)
    except TimeoutError:
        return Answer(False, f"{host} did not answer within {within:g} s")
    except (aiohttp.ClientError, ssl.SSLError, OSError, ValueError) as error:
        why = (
            error.args[0] if isinstance(error, Refused) else _without(url, f"{type(error).__name__}: {error}")
        )
        return Answer(False, clean(str(why), _ANSWER))


def is_public(address: str) -> bool:
    """Also of an IPv4 address in an IPv6 one (mapped, 6to4, NAT64)."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour
        if ip in ipaddress.ip_network("64:ff9b::/96"):
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return ip.is_global and not ip.is_multicast


def _check_literal(host: str, allows_private: bool) -> None:
    """aiohttp asks no resolver for these."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return
    _check(host, host, allows_private)


def _check(host: str, address: str, allows_private: bool) -> None:
    if not allows_private and not is_public(address):
        raise Refused(NOT_ALLOWED.format(host=host, address=address))


def _names(allows_private: bool) -> Any:
    from aiohttp.abc import AbstractResolver

    class Names(AbstractResolver):
        """One look-up; what it gives is checked, and is what is connected to."""

        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
        ) -> list[ResolveResult]:
            loop = asyncio.get_running_loop()
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            for entry in found:
                _check(host, str(entry[4][0]), allows_private)
            return [
                {
                    "hostname": host, "host": str(entry[4][0]), "port": port, "family": entry[0], "proto": 0,
                    "flags": socket.AI_NUMERICHOST,
                }
                for entry in found
            ]  # fmt: skip

        async def close(self) -> None:
            """Nothing is open."""

    return Names()


def _without(url: str, text: str) -> str:
    """aiohttp's errors may quote the address, which is a secret with many services."""
    parts = urlsplit(url)
    for secret in (url, f"{parts.path}?{parts.query}", parts.path, parts.query):
        if len(secret) > 1:
            text = text.replace(secret, "…")
    return text
