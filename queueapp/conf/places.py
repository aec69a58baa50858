"""Reads addresses, networks and URLs: where we listen, whom we reach and by which way. Each function takes
the text of a setting, and raises ValueError with what is allowed."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import parse_qs, unquote, urlsplit

from queueapp.conf.texts import names
from queueapp.conf.values import Address, RouteSpec

ROUTE_HINT = "sandbox, mx or smtp://USER:PASS@HOST:PORT?tls=none|starttls|tls"


def address(value: str) -> Address:
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9.\-]+)):(\d{1,5})", value.strip())
    if not match or int(match[3]) > 65535:
        raise ValueError("HOST:PORT such as 127.0.0.1:8000 (port 0 takes a free one)")
    return Address(match[1] or match[2], int(match[3]))


def addresses(value: str) -> tuple[Address, ...]:
    return tuple(address(part) for part in value.split(",") if part.strip())


def networks(value: str) -> tuple[str, ...]:
    try:
        return tuple(str(ipaddress.ip_network(part)) for part in names(value))
    except ValueError:
        raise ValueError("IP addresses or networks, by commas, such as 127.0.0.1,10.0.0.0/8") from None


def smtp_url(value: str) -> RouteSpec:
    parts = urlsplit(value)
    try:
        port = parts.port or 25
    except ValueError:
        raise ValueError(ROUTE_HINT) from None
    query = parse_qs(parts.query, keep_blank_values=True)
    tls = query.pop("tls", ["opportunistic"])[-1]
    known = {"none": "none", "starttls": "required", "tls": "implicit", "opportunistic": "opportunistic"}
    if parts.scheme != "smtp" or not parts.hostname or tls not in known or query:
        raise ValueError(ROUTE_HINT)
    return RouteSpec(
        "relay",
        parts.hostname,
        port,
        unquote(parts.username or ""),
        unquote(parts.password or ""),
        known[tls],
    )


def way_out(value: str) -> RouteSpec:
    return RouteSpec(value) if value in ("sandbox", "mx") else smtp_url(value)


def smtp_ways(value: str) -> tuple[RouteSpec, ...]:
    """By commas, in the order that they are tried; `mx` is straight to the recipient's hosts."""
    try:
        return tuple(RouteSpec("mx") if part == "mx" else smtp_url(part) for part in names(value))
    except ValueError:
        raise ValueError("mx or smtp://USER:PASS@HOST:PORT?tls=none|starttls|tls, by commas") from None


def web_url(value: str) -> str:
    try:
        parts = urlsplit(value)
        is_fine = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_fine = False
    if value and (not is_fine or not value.isprintable() or " " in value):
        raise ValueError("http://… or https://…")
    return value


def web_urls(value: str) -> tuple[str, ...]:
    return tuple(web_url(part) for part in names(value))


def base_url(value: str) -> str:
    return web_url(value).rstrip("/")


def database(value: str) -> str:
    if value and urlsplit(value).scheme not in ("sqlite", "postgres", "postgresql"):
        raise ValueError("sqlite:///FILE or postgres://USER:PASS@HOST:PORT/NAME")
    return value


def redis(value: str) -> str:
    if value and urlsplit(value).scheme not in ("redis", "rediss", "unix"):
        raise ValueError("redis://HOST:PORT/0, rediss://… or unix:///SOCKET")
    return value
