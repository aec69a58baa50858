"""Only a page of ours may open a socket: a stranger's page would come with our visitor's cookie.

Channels' own validator compares the host with ALLOWED_HOSTS and lets another port of the same
machine in; here scheme-less origin, host and port must be those that the request was sent to.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from django.conf import settings
from django.http.request import split_domain_port, validate_host

_DEFAULT_PORTS = {"http": "80", "https": "443"}


def is_same_origin(headers: list[tuple[bytes, bytes]]) -> bool:
    """Whether Origin and Host are there once each, agree, and the host is one that we answer for."""
    origins = [value for name, value in headers if name == b"origin"]
    hosts = [value for name, value in headers if name == b"host"]
    if len(origins) != 1 or len(hosts) != 1:
        return False
    try:
        origin = urlsplit(origins[0].decode("ascii"))
        host = hosts[0].decode("ascii").lower()
        port = _DEFAULT_PORTS[origin.scheme]
    except (ValueError, KeyError):
        return False
    name = split_domain_port(host)[0]
    if not name or not validate_host(name, settings.ALLOWED_HOSTS):
        return False
    return _with_port(origin.netloc.lower(), port) == _with_port(host, port)


def _with_port(netloc: str, default: str) -> tuple[str, str]:
    name, port = split_domain_port(netloc)
    return name, port or default
