"""Where it listens, and what stands in front."""

from __future__ import annotations

from dataclasses import dataclass

from queueapp.conf.places import address, networks
from queueapp.conf.setting import setting
from queueapp.conf.texts import names, one_of
from queueapp.conf.values import Address


@dataclass(frozen=True)
class Listening:
    http: Address = setting("MAILWEIR_HTTP", address, "127.0.0.1:8000", "HOST:PORT", "Dashboard and API.")
    smtp: Address = setting("MAILWEIR_SMTP", address, "127.0.0.1:2525", "HOST:PORT", "SMTP submission.")
    sandbox: Address = setting(
        "MAILWEIR_SANDBOX", address, "127.0.0.1:1025", "HOST:PORT", "The SMTP sandbox."
    )
    allowed_hosts: tuple[str, ...] = setting(
        "MAILWEIR_ALLOWED_HOSTS", names, "", "host,…", "Host names of the dashboard beside loopback."
    )
    proxies: tuple[str, ...] = setting(
        "MAILWEIR_PROXIES",
        networks,
        "",
        "IP,…",
        "Proxies in front whose X-Forwarded-For and X-Forwarded-Proto are believed; empty: nobody's.",
    )
    https: str = setting(
        "MAILWEIR_HTTPS",
        one_of("no", "yes"),
        "no",
        "no|yes",
        "Whether browsers reach the dashboard by HTTPS (a proxy in front): secure cookies, HSTS.",
    )
