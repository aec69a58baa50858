"""What can be refused before anything runs: a certificate that can't be loaded, a Redis that is away."""

from __future__ import annotations

import ssl
from pathlib import Path
from urllib.parse import urlsplit

import redis as redis_py

from queueapp.conf import Conf


class NotReady(Exception):
    """The text names the setting and says what to do."""


def certificate(conf: Conf) -> None:
    """The submission server's certificate and key belong together and can be read."""
    if conf.smtp_key and not conf.smtp_cert:
        raise NotReady("MAILWEIR_SMTP_KEY is set without MAILWEIR_SMTP_CERT. Set both, or neither.")
    if not conf.smtp_cert:
        return
    names = {"MAILWEIR_SMTP_CERT": conf.smtp_cert, "MAILWEIR_SMTP_KEY": conf.smtp_key}
    for name, path in names.items():
        if path:
            _readable(name, path)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(
            conf.smtp_cert, conf.smtp_key, password=lambda: ""
        )
    except (ssl.SSLError, OSError) as error:
        reason = getattr(error, "reason", None) or error
        raise NotReady(
            f"MAILWEIR_SMTP_CERT={conf.smtp_cert} can't be used ({reason}). It must be a PEM chain, and "
            f"{conf.smtp_key or 'the same file'} its key without a password."
        ) from None


def _readable(name: str, path: Path) -> None:
    try:
        path.open("rb").close()
    except OSError as error:
        raise NotReady(
            f"{name}={path} can't be read ({error.strerror}). Check the path and its owner."
        ) from None


def redis(conf: Conf) -> None:
    """A Redis of the administrator's own answers. The embedded one is awaited as a part."""
    if not conf.redis_url:
        return
    try:
        with redis_py.Redis.from_url(conf.redis_url, socket_connect_timeout=5, socket_timeout=5) as client:
            client.ping()
    except (redis_py.RedisError, OSError, ValueError) as error:
        raise NotReady(
            f"Redis at {place(conf)} does not answer ({str(error)[:200]}). Check that it runs, and "
            "REDIS_URL's host, port and password; an empty REDIS_URL starts the embedded Valkey."
        ) from None


def place(conf: Conf) -> str:
    """REDIS_URL without its password."""
    parts = urlsplit(conf.redis)
    if parts.scheme == "unix":
        return parts.path
    return f"{parts.hostname or 'localhost'}:{parts.port or 6379}"
