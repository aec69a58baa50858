"""Fetches the MTA-STS policy of a domain over HTTPS (RFC 8461 section 3.3).

Promises: the certificate of the policy host is checked; no redirect is followed; size and time are
bounded; names are looked up by the resolver that mail uses; no proxy, no cookie.
Failure: `FetchFailed` that says what; nothing else is raised for what a server or the network did.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from queueapp.mail.mta_sts import MAX_SIZE, Policy, WrongPolicy, parse
from queueapp.mail.reply import clean
from queueapp.transports.smtp.mx import MxFailed, Resolver

if TYPE_CHECKING:
    import aiohttp
    from aiohttp.abc import ResolveResult

HTTPS_PORT = 443
_PATH = "/.well-known/mta-sts.txt"


class FetchFailed(Exception):
    """No policy could be fetched; the text says why."""


@dataclass(frozen=True, slots=True)
class Options:
    """`cafile` adds roots to those of the system; `timeout` in seconds, for all of it."""

    port: int = HTTPS_PORT
    cafile: str | None = None
    timeout: float = 10.0


async def fetch(domain: str, resolver: Resolver, options: Options) -> Policy:
    """The policy that the domain publishes now. Raises FetchFailed."""
    import aiohttp

    url = f"https://mta-sts.{domain}:{options.port}{_PATH}"
    try:
        async with (
            asyncio.timeout(options.timeout),
            _session(resolver, options) as session,
            session.get(url, allow_redirects=False) as answer,
        ):
            return parse(domain, await _content(answer))
    except TimeoutError:
        raise FetchFailed(f"the policy host did not answer within {options.timeout:g} s") from None
    except WrongPolicy as error:
        raise FetchFailed(f"what it publishes is no policy: {error}") from None
    except (aiohttp.ClientError, ssl.SSLError, OSError, ValueError) as error:
        raise FetchFailed(clean(f"{type(error).__name__}: {error}", 200)) from None


async def _content(answer: aiohttp.ClientResponse) -> bytes:
    if answer.status != 200:
        raise FetchFailed(f"the policy host answered {answer.status}")
    if answer.content_type != "text/plain":
        raise FetchFailed(clean(f"the policy is of type {answer.content_type}, not text/plain", 200))
    content = b""
    while chunk := await answer.content.read(MAX_SIZE + 1 - len(content)):
        content += chunk
        if len(content) > MAX_SIZE:
            break
    return content


def _session(resolver: Resolver, options: Options) -> aiohttp.ClientSession:
    import aiohttp
    from aiohttp.abc import AbstractResolver

    class Names(AbstractResolver):
        """aiohttp asks here, so that MAILWEIR_DNS holds for policies as well."""

        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
        ) -> list[ResolveResult]:
            try:
                found = await resolver.addresses(host)
            except MxFailed as error:
                raise OSError(error.outcome.text) from None
            return [_result(host, address, port) for address in found]

        async def close(self) -> None:
            """Nothing is open."""

    connector = aiohttp.TCPConnector(resolver=Names(), ssl=_context(options.cafile), use_dns_cache=False)
    return aiohttp.ClientSession(
        connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False, auto_decompress=False
    )


def _result(host: str, address: str, port: int) -> ResolveResult:
    is_v6 = ipaddress.ip_address(address).version == 6
    return {
        "hostname": host,
        "host": address,
        "port": port,
        "family": socket.AF_INET6 if is_v6 else socket.AF_INET,
        "proto": 0,
        "flags": socket.AI_NUMERICHOST,
    }


@lru_cache(maxsize=4)
def _context(cafile: str | None) -> ssl.SSLContext:
    made = ssl.create_default_context()
    if cafile:
        made.load_verify_locations(cafile)
    return made
