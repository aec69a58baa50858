"""The way out: routes, TLS, sessions and rates."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from queueapp.conf.places import ROUTE_HINT, addresses, way_out
from queueapp.conf.setting import setting
from queueapp.conf.texts import duration, one_of, rate_or_none, text, whole
from queueapp.conf.values import Address, Rate, RouteSpec


@dataclass(frozen=True)
class WayOut:
    route: RouteSpec = setting(
        "MAILWEIR_ROUTE", way_out, "sandbox", ROUTE_HINT, "The way out where no Route row says another."
    )
    hostname: str = setting(
        "MAILWEIR_HOSTNAME", text, "", "name", "EHLO name, Received and reports; empty is the machine's own."
    )
    tls: str = setting(
        "MAILWEIR_TLS",
        one_of("none", "opportunistic", "required"),
        "opportunistic",
        "none|opportunistic|required",
        "STARTTLS towards MX hosts.",
    )
    mta_sts: str = setting(
        "MAILWEIR_MTA_STS",
        one_of("on", "off"),
        "on",
        "on|off",
        "Whether the TLS policies that recipient domains publish (MTA-STS) are kept to, on route mx.",
    )
    mx_port: int = setting("MAILWEIR_MX_PORT", whole(1, 65535), "25", "port", "Where MX hosts are spoken to.")
    dns: tuple[Address, ...] = setting(
        "MAILWEIR_DNS", addresses, "", "HOST:PORT,…", "Name servers for MX look-ups; empty is the system's."
    )
    connect_timeout: timedelta = setting(
        "MAILWEIR_CONNECT_TIMEOUT",
        duration,
        "30s",
        "time",
        "How long a receiver's host may take to connect.",
    )
    reply_timeout: timedelta = setting(
        "MAILWEIR_REPLY_TIMEOUT",
        duration,
        "5m",
        "time",
        "How long a receiver may take to greet and to answer a command (RFC 5321 asks for 5 minutes).",
    )
    workers: int = setting(
        "MAILWEIR_WORKERS", whole(0, 64), "2", "processes", "Queue runners on this machine; 0 accepts only."
    )
    sessions: int = setting(
        "MAILWEIR_SESSIONS", whole(1, 10000), "200", "sessions", "SMTP sessions a queue runner may hold."
    )
    site_sessions: int = setting(
        "MAILWEIR_SITE_SESSIONS",
        whole(1, 1000),
        "20",
        "sessions",
        "SMTP sessions to one site, over all runners and machines, unless the site has its own limit.",
    )
    session_mails: int = setting(
        "MAILWEIR_SESSION_MAILS",
        whole(1, 1_000_000),
        "1000",
        "mails",
        "Mails by one SMTP session before a new one is opened, unless the site has its own limit.",
    )
    site_rate: Rate | None = setting(
        "MAILWEIR_SITE_RATE",
        rate_or_none,
        "",
        "N/s|m|h|d",
        "Mails to one site in a time, over all machines, unless the site has its own; empty is no limit.",
    )
    domain_rate: Rate | None = setting(
        "MAILWEIR_DOMAIN_RATE",
        rate_or_none,
        "",
        "N/s|m|h|d",
        "Mails to one recipient domain in a time, unless it has its own; empty is no limit.",
    )
