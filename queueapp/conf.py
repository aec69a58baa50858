"""Every setting of Mailweir: name, type, default, unit and the reason it exists.

Settings come from the environment and are read once, at start. A value that is not
allowed stops the start with `WrongSetting`, which names the setting, the value and what
is allowed. Nothing here imports Django, so `manage.py` can report a wrong value before
Django is loaded.
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import time, timedelta
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs, unquote, urlsplit
from zoneinfo import ZoneInfo

SANDBOX_CERTIFICATE = "sandbox-cert.pem"
"""In the home: made by the sandbox, trusted by us for the sandbox alone."""


class WrongSetting(ValueError):
    """A setting holds a value that is not allowed."""

    def __init__(self, name: str, value: str, allowed: str) -> None:
        self.name, self.value, self.allowed = name, value, allowed
        super().__init__(f"{name}={value!r} is not allowed: {allowed}.")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens. Port 0 takes a free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class RouteSpec:
    """The default way out. `kind` is `sandbox`, `mx` or `relay`; the rest belongs to a relay."""

    kind: str
    host: str = ""
    port: int = 25
    username: str = ""
    password: str = field(default="", repr=False)
    tls: str = "opportunistic"


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `n` mails in any `per` seconds."""

    n: int
    per: int

    def __str__(self) -> str:
        return f"{self.n}/{ {1: 's', 60: 'm', 3600: 'h', 86400: 'd'}[self.per] }"


_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_LONGEST = 3650 * 86400
_SIZES = {"": 1, "B": 1, "KB": 1000, "MB": 1000**2, "GB": 1000**3}


def _text(value: str) -> str:
    if "\0" in value or "\n" in value:
        raise ValueError("one line of text")
    return value


def duration(value: str) -> timedelta:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw])", value.strip())
    seconds = float(match[1]) * _UNITS[match[2]] if match else 0
    if not 0 < seconds <= _LONGEST:
        raise ValueError("a time above zero, of ten years at most, such as 30s, 5m, 4h, 5d")
    return timedelta(seconds=seconds)


def _no_less_than(least: str) -> Callable[[str], timedelta]:
    def parse(value: str) -> timedelta:
        found = duration(value)
        if found < duration(least):
            raise ValueError(f"a time of {least} or more")
        return found

    return parse


def _size(value: str) -> int:
    match = re.fullmatch(r"(\d+)\s*(B|KB|MB|GB|)", value.strip(), re.IGNORECASE)
    if not match or int(match[1]) == 0:
        raise ValueError("a size above zero such as 50MB")
    return int(match[1]) * _SIZES[match[2].upper()]


def rate_or_none(value: str) -> Rate | None:
    """`600/m`; empty and `none` are no limit. Raises ValueError."""
    if value.strip() in ("", "none"):
        return None
    match = re.fullmatch(r"(\d{1,9})\s*/\s*([smhd])", value.strip())
    if not match or int(match[1]) == 0:
        raise ValueError(
            "a number of mails in a second, minute, hour or day, such as 5/s, 600/m, 1000/h, 20000/d"
        )
    return Rate(int(match[1]), _UNITS[match[2]])


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(value: str) -> int:
        if not re.fullmatch(r"\d{1,9}", value.strip()) or not low <= int(value) <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return int(value)

    return parse


def _one_of(*names: str) -> Callable[[str], str]:
    def parse(value: str) -> str:
        if value not in names:
            raise ValueError("one of " + ", ".join(names))
        return value

    return parse


def _address(value: str) -> Address:
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9.\-]+)):(\d{1,5})", value.strip())
    if not match or int(match[3]) > 65535:
        raise ValueError("HOST:PORT such as 127.0.0.1:8000 (port 0 takes a free one)")
    return Address(match[1] or match[2], int(match[3]))


def _addresses(value: str) -> tuple[Address, ...]:
    return tuple(_address(part) for part in value.split(",") if part.strip())


def _networks(value: str) -> tuple[str, ...]:
    try:
        return tuple(str(ipaddress.ip_network(part)) for part in _names(value))
    except ValueError:
        raise ValueError("IP addresses or networks, by commas, such as 127.0.0.1,10.0.0.0/8") from None


def _names(value: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _blocklists(value: str) -> tuple[str, ...]:
    words = _names(value.lower())
    is_fine = all(re.fullmatch(r"-?[a-z0-9][a-z0-9-]{0,63}", word) for word in words)
    if not words or not is_fine or ("no" in words and len(words) > 1):
        raise ValueError(
            "no, yes, or names of lists by commas, such as yes,-uceprotect-3 or spamhaus-zen,spamcop"
        )
    return words


def _keys(value: str) -> tuple[tuple[str, str], ...]:
    """Each key is one label of a DNS name."""
    found = tuple(re.fullmatch(r"([a-z0-9-]{1,64})=([A-Za-z0-9_-]{4,63})", word) for word in _names(value))
    if not all(found):
        raise ValueError(
            "NAME=KEY by commas, such as spamhaus=…,abusix=…; a key is 4 to 63 letters and digits"
        )
    return tuple((match[1], match[2]) for match in found if match)


ROLES = ("viewer", "campaigns", "operator", "administrator")
"""The names of roles; what each may do is in access/roles.py."""


def _roles(value: str) -> tuple[str, ...]:
    found = _names(value)
    if not set(found) <= set(ROLES):
        raise ValueError("some of " + ", ".join(ROLES) + ", by commas")
    return found


def _path(value: str) -> Path | None:
    return Path(value).expanduser().resolve() if value else None


def _home(value: str) -> Path:
    if not value:
        raise ValueError("a folder")
    return Path(value).expanduser().resolve()


def _language(value: str) -> str:
    if not re.fullmatch(r"[a-z]{2,3}(-[a-z0-9]{2,8})?", value):
        raise ValueError("the code of a language, such as en, de or pt-br")
    return value


_ROUTE_HINT = "sandbox, mx or smtp://USER:PASS@HOST:PORT?tls=none|starttls|tls"


def _smtp_url(value: str) -> RouteSpec:
    parts = urlsplit(value)
    try:
        port = parts.port or 25
    except ValueError:
        raise ValueError(_ROUTE_HINT) from None
    query = parse_qs(parts.query, keep_blank_values=True)
    tls = query.pop("tls", ["opportunistic"])[-1]
    known = {"none": "none", "starttls": "required", "tls": "implicit", "opportunistic": "opportunistic"}
    if parts.scheme != "smtp" or not parts.hostname or tls not in known or query:
        raise ValueError(_ROUTE_HINT)
    return RouteSpec(
        "relay",
        parts.hostname,
        port,
        unquote(parts.username or ""),
        unquote(parts.password or ""),
        known[tls],
    )


def _route(value: str) -> RouteSpec:
    return RouteSpec(value) if value in ("sandbox", "mx") else _smtp_url(value)


def _smtp_ways(value: str) -> tuple[RouteSpec, ...]:
    """By commas, in the order that they are tried; `mx` is straight to the recipient's hosts."""
    try:
        return tuple(RouteSpec("mx") if part == "mx" else _smtp_url(part) for part in _names(value))
    except ValueError:
        raise ValueError("mx or smtp://USER:PASS@HOST:PORT?tls=none|starttls|tls, by commas") from None


def _urls(value: str) -> tuple[str, ...]:
    return tuple(_url(part) for part in _names(value))


def _url(value: str) -> str:
    try:
        parts = urlsplit(value)
        is_fine = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_fine = False
    if value and (not is_fine or not value.isprintable() or " " in value):
        raise ValueError("http://… or https://…")
    return value


def _base_url(value: str) -> str:
    return _url(value).rstrip("/")


def _sender(value: str) -> str:
    if value and not re.fullmatch(r"[^\s@<>\"]{1,64}@[A-Za-z0-9.\-]{1,253}", value):
        raise ValueError("an address such as mailweir@example.com")
    return value


@dataclass(frozen=True, slots=True)
class Hours:
    """A time of the day, by the clock of `zone`; it may pass midnight."""

    begin: time
    end: time
    zone: str


def _hours(value: str) -> Hours | None:
    if not value:
        return None
    match = re.fullmatch(r"(\d\d:\d\d)-(\d\d:\d\d)(?: ([A-Za-z0-9_+\-/]{1,64}))?", value.strip())
    try:
        assert match is not None
        begin, end, zone = time.fromisoformat(match[1]), time.fromisoformat(match[2]), match[3] or "UTC"
        ZoneInfo(zone)
        assert begin != end
    except (AssertionError, ValueError, KeyError, OSError):
        raise ValueError("HH:MM-HH:MM ZONE such as 22:00-07:00 Europe/Berlin; without a zone UTC") from None
    return Hours(begin, end, zone)


def _database(value: str) -> str:
    if value and urlsplit(value).scheme not in ("sqlite", "postgres", "postgresql"):
        raise ValueError("sqlite:///FILE or postgres://USER:PASS@HOST:PORT/NAME")
    return value


def _redis(value: str) -> str:
    if value and urlsplit(value).scheme not in ("redis", "rediss", "unix"):
        raise ValueError("redis://HOST:PORT/0, rediss://… or unix:///SOCKET")
    return value


_HIDDEN = "URL|PASSWORD|SECRET(_KEY)?$|SMTP$|KEYS$|ALERT_(WEBHOOK|SLACK|PING)"


def _setting(name: str, parse: Callable[[str], Any], default: str, unit: str, reason: str) -> Any:
    shown = not re.search(_HIDDEN, name) or name in ("MAILWEIR_SMTP", "MAILWEIR_URL")
    return field(
        repr=shown,
        metadata={"name": name, "parse": parse, "default": default, "unit": unit, "reason": reason},
    )


@dataclass(frozen=True)
class Conf:
    """The settings in force. Attributes are the names without `MAILWEIR_`, in lower case."""

    database_url: str = _setting(
        "DATABASE_URL", _database, "", "URL", "The database; empty is SQLite in MAILWEIR_HOME."
    )
    redis_url: str = _setting(
        "REDIS_URL", _redis, "", "URL", "Redis or Valkey; empty is the embedded Valkey."
    )
    home: Path = _setting(
        "MAILWEIR_HOME",
        _home,
        "./var",
        "folder",
        "Database, Valkey socket and data, secret key, journal, logs.",
    )
    http: Address = _setting("MAILWEIR_HTTP", _address, "127.0.0.1:8000", "HOST:PORT", "Dashboard and API.")
    smtp: Address = _setting("MAILWEIR_SMTP", _address, "127.0.0.1:2525", "HOST:PORT", "SMTP submission.")
    sandbox: Address = _setting(
        "MAILWEIR_SANDBOX", _address, "127.0.0.1:1025", "HOST:PORT", "The SMTP sandbox."
    )
    workers: int = _setting(
        "MAILWEIR_WORKERS", _whole(0, 64), "2", "processes", "Queue runners on this machine; 0 accepts only."
    )
    sessions: int = _setting(
        "MAILWEIR_SESSIONS", _whole(1, 10000), "200", "sessions", "SMTP sessions a queue runner may hold."
    )
    site_sessions: int = _setting(
        "MAILWEIR_SITE_SESSIONS",
        _whole(1, 1000),
        "20",
        "sessions",
        "SMTP sessions to one site, over all runners and machines, unless the site has its own limit.",
    )
    session_mails: int = _setting(
        "MAILWEIR_SESSION_MAILS",
        _whole(1, 1_000_000),
        "1000",
        "mails",
        "Mails by one SMTP session before a new one is opened, unless the site has its own limit.",
    )
    site_rate: Rate | None = _setting(
        "MAILWEIR_SITE_RATE",
        rate_or_none,
        "",
        "N/s|m|h|d",
        "Mails to one site in a time, over all machines, unless the site has its own; empty is no limit.",
    )
    domain_rate: Rate | None = _setting(
        "MAILWEIR_DOMAIN_RATE",
        rate_or_none,
        "",
        "N/s|m|h|d",
        "Mails to one recipient domain in a time, unless it has its own; empty is no limit.",
    )
    route: RouteSpec = _setting(
        "MAILWEIR_ROUTE", _route, "sandbox", _ROUTE_HINT, "The way out where no Route row says another."
    )
    mx_port: int = _setting(
        "MAILWEIR_MX_PORT", _whole(1, 65535), "25", "port", "Where MX hosts are spoken to."
    )
    dns: tuple[Address, ...] = _setting(
        "MAILWEIR_DNS", _addresses, "", "HOST:PORT,…", "Name servers for MX look-ups; empty is the system's."
    )
    tls: str = _setting(
        "MAILWEIR_TLS",
        _one_of("none", "opportunistic", "required"),
        "opportunistic",
        "none|opportunistic|required",
        "STARTTLS towards MX hosts.",
    )
    mta_sts: str = _setting(
        "MAILWEIR_MTA_STS",
        _one_of("on", "off"),
        "on",
        "on|off",
        "Whether the TLS policies that recipient domains publish (MTA-STS) are kept to, on route mx.",
    )
    connect_timeout: timedelta = _setting(
        "MAILWEIR_CONNECT_TIMEOUT",
        duration,
        "30s",
        "time",
        "How long a receiver's host may take to connect.",
    )
    reply_timeout: timedelta = _setting(
        "MAILWEIR_REPLY_TIMEOUT",
        duration,
        "5m",
        "time",
        "How long a receiver may take to greet and to answer a command (RFC 5321 asks for 5 minutes).",
    )
    max_age: timedelta = _setting(
        "MAILWEIR_MAX_AGE", duration, "5d", "time", "A delivery older than this expires and is reported."
    )
    retry_first: timedelta = _setting(
        "MAILWEIR_RETRY_FIRST", duration, "5m", "time", "Wait after the first failed attempt; doubles."
    )
    retry_cap: timedelta = _setting(
        "MAILWEIR_RETRY_CAP", duration, "4h", "time", "The longest wait between attempts."
    )
    delay_warning: timedelta = _setting(
        "MAILWEIR_DELAY_WARNING", duration, "4h", "time", "When the sender is told that a mail is late."
    )
    max_size: int = _setting(
        "MAILWEIR_MAX_SIZE", _size, "50MB", "bytes", "The largest message that is accepted."
    )
    max_recipients: int = _setting(
        "MAILWEIR_MAX_RECIPIENTS",
        _whole(1, 100000),
        "1000",
        "recipients",
        "The most recipients of one message.",
    )
    hostname: str = _setting(
        "MAILWEIR_HOSTNAME", _text, "", "name", "EHLO name, Received and reports; empty is the machine's own."
    )
    smtp_login: str = _setting(
        "MAILWEIR_SMTP_LOGIN",
        _one_of("remote", "always"),
        "remote",
        "remote|always",
        "Who must log in to submit: all but loopback, or everybody.",
    )
    smtp_cert: Path | None = _setting(
        "MAILWEIR_SMTP_CERT",
        _path,
        "",
        "file",
        "PEM certificate chain of the submission server; enables STARTTLS.",
    )
    smtp_key: Path | None = _setting(
        "MAILWEIR_SMTP_KEY",
        _path,
        "",
        "file",
        "PEM key of that certificate; empty is the certificate's own file.",
    )
    transcripts: str = _setting(
        "MAILWEIR_TRANSCRIPTS",
        _one_of("off", "failed", "all"),
        "failed",
        "off|failed|all",
        "Which attempts keep what was said by SMTP: none, those that did not deliver, or all.",
    )
    sandbox_keep: int = _setting(
        "MAILWEIR_SANDBOX_KEEP", _whole(1, 100000), "2000", "mails", "How many mails the sandbox keeps whole."
    )
    retention: timedelta = _setting(
        "MAILWEIR_RETENTION", duration, "7d", "time", "How long finished deliveries are kept before `prune`."
    )
    audit_retention: timedelta = _setting(
        "MAILWEIR_AUDIT_RETENTION",
        _no_less_than("30d"),
        "365d",
        "time",
        "How long the audit is kept before `prune`; 30d is the least.",
    )
    session_idle: timedelta = _setting(
        "MAILWEIR_SESSION_IDLE",
        _no_less_than("1m"),
        "1d",
        "time",
        "A person who did nothing for so long has to log in again; watching an open page is nothing.",
    )
    session_age: timedelta = _setting(
        "MAILWEIR_SESSION_AGE",
        _no_less_than("1m"),
        "14d",
        "time",
        "A person has to log in again after so long, whatever they did.",
    )
    totp_for: tuple[str, ...] = _setting(
        "MAILWEIR_TOTP_FOR",
        _roles,
        "",
        "role,…",
        "Roles that must have a second factor: viewer, campaigns, operator, administrator.",
    )
    admin_password: str = _setting(
        "MAILWEIR_ADMIN_PASSWORD", _text, "", "text", "Password of the first administrator; empty makes one."
    )
    alert_to: tuple[str, ...] = _setting(
        "MAILWEIR_ALERT_TO", _names, "", "address,…", "Who gets the alert mail."
    )
    alert_smtp: tuple[RouteSpec, ...] = _setting(
        "MAILWEIR_ALERT_SMTP",
        _smtp_ways,
        "",
        "smtp://…,…",
        "The alert mail's own ways out, in the order that they are tried; the recipient's MX comes last.",
    )
    alert_from: str = _setting(
        "MAILWEIR_ALERT_FROM", _sender, "", "address", "Whom the alert mail is from; empty: mailweir@HOST."
    )
    alert_quiet: Hours | None = _setting(
        "MAILWEIR_ALERT_QUIET",
        _hours,
        "",
        "HH:MM-HH:MM ZONE",
        "Quiet hours: only what is critical is told; the rest follows in the morning, if it still holds.",
    )
    alert_webhook: tuple[str, ...] = _setting(
        "MAILWEIR_ALERT_WEBHOOK", _urls, "", "https://…,…", "Where alerts are posted as JSON: never shown."
    )
    alert_webhook_secret: str = _setting(
        "MAILWEIR_ALERT_WEBHOOK_SECRET", _text, "", "text", "Signs what is posted there; empty: unsigned."
    )
    alert_slack: tuple[str, ...] = _setting(
        "MAILWEIR_ALERT_SLACK",
        _urls,
        "",
        "https://…,…",
        "Incoming webhooks of Slack, or of what takes the same: never shown.",
    )
    alert_ping: str = _setting(
        "MAILWEIR_ALERT_PING",
        _url,
        "",
        "https://…",
        "Asked each minute while the watch is well; the service there raises the alarm when it is not.",
    )
    alert_private: str = _setting(
        "MAILWEIR_ALERT_PRIVATE",
        _one_of("no", "yes"),
        "no",
        "no|yes",
        "Whether webhook, Slack and ping may be addresses of a private network or this machine.",
    )
    url: str = _setting(
        "MAILWEIR_URL",
        _base_url,
        "",
        "https://…",
        "How people reach the dashboard: the links in alerts; empty is the address that it listens on.",
    )
    blocklists: tuple[str, ...] = _setting(
        "MAILWEIR_BLOCKLISTS",
        _blocklists,
        "no",
        "no|yes|name,…",
        "Whether our addresses and domains are looked up in public blocklists, and in which.",
    )
    blocklist_resolver: tuple[Address, ...] = _setting(
        "MAILWEIR_BLOCKLIST_RESOLVER",
        _addresses,
        "",
        "HOST:PORT,…",
        "Name servers that ask the blocklists; empty is MAILWEIR_DNS, or the system's.",
    )
    blocklist_keys: tuple[tuple[str, str], ...] = _setting(
        "MAILWEIR_BLOCKLIST_KEYS",
        _keys,
        "",
        "NAME=KEY,…",
        "Keys of blocklists that want one, such as Spamhaus's DQS key: never shown.",
    )
    blocklist_targets: tuple[str, ...] = _setting(
        "MAILWEIR_BLOCKLIST_TARGETS",
        _names,
        "",
        "IP or domain,…",
        "What is looked up beside our own sources, names and domains: the public address behind a NAT.",
    )
    secret_key: str = _setting(
        "MAILWEIR_SECRET_KEY", _text, "", "text", "Django's secret; empty is one kept in MAILWEIR_HOME."
    )
    secret_key_file: Path | None = _setting(
        "MAILWEIR_SECRET_KEY_FILE", _path, "", "file", "A file that holds it."
    )
    allowed_hosts: tuple[str, ...] = _setting(
        "MAILWEIR_ALLOWED_HOSTS", _names, "", "host,…", "Host names of the dashboard beside loopback."
    )
    https: str = _setting(
        "MAILWEIR_HTTPS",
        _one_of("no", "yes"),
        "no",
        "no|yes",
        "Whether browsers reach the dashboard by HTTPS (a proxy in front): secure cookies, HSTS.",
    )
    proxies: tuple[str, ...] = _setting(
        "MAILWEIR_PROXIES",
        _networks,
        "",
        "IP,…",
        "Proxies in front whose X-Forwarded-For and X-Forwarded-Proto are believed; empty: nobody's.",
    )
    language: str = _setting(
        "MAILWEIR_LANGUAGE",
        _language,
        "en",
        "language",
        "The language of the pages: a folder in locale/; what it lacks is said in English.",
    )
    log: str = _setting(
        "MAILWEIR_LOG", _one_of("text", "json"), "text", "text|json", "The form of log lines."
    )

    @property
    def host(self) -> str:
        """The name that this machine gives itself in EHLO, Received and reports."""
        return self.hostname or _machine_name()

    @property
    def run_file(self) -> Path:
        return self.home / "run.json"

    @property
    def valkey_socket(self) -> Path:
        return self.home / "valkey.sock"

    @property
    def redis(self) -> str:
        """The URL in force: the setting, or the embedded Valkey's socket."""
        return self.redis_url or f"unix://{self.valkey_socket}"

    @property
    def sandbox_certificate(self) -> Path:
        return self.home / SANDBOX_CERTIFICATE

    @property
    def journal(self) -> Path:
        return self.home / "journal"


def _machine_name() -> str:
    name = socket.gethostname().strip(".").lower()
    return name if re.fullmatch(r"[a-z0-9.\-]{1,253}", name) else "localhost"


def load(environ: Mapping[str, str]) -> Conf:
    """Read all settings. Raises WrongSetting at the first value that is not allowed."""
    values: dict[str, Any] = {}
    for each in fields(Conf):
        name, parse = each.metadata["name"], each.metadata["parse"]
        text = environ.get(name, "") or each.metadata["default"]
        try:
            values[each.name] = parse(text)
        except ValueError as error:
            shown = (
                "…"
                if "@" in text or re.search(_HIDDEN + "|SECRET", name.replace("MAILWEIR_SMTP", ""))
                else text
            )
            raise WrongSetting(name, shown, str(error)) from None
    _refuse_unknown(environ)
    return Conf(**values)


def _refuse_unknown(environ: Mapping[str, str]) -> None:
    """A misspelt setting would be ignored in silence, and its owner would never know."""
    known = {each.metadata["name"] for each in fields(Conf)}
    for name in environ:
        if name.startswith("MAILWEIR_") and not name.startswith("MAILWEIR_TEST_") and name not in known:
            # Without the value: it may be a password under a misspelt name.
            raise WrongSetting(name, "…", "there is no such setting; docs/settings.md lists them")


_current: Conf | None = None


def current() -> Conf:
    """The settings of this process, read from its environment at first use."""
    global _current
    if _current is None:
        _current = load(os.environ)
    return _current


def settle(**changes: Any) -> Conf:
    """From here on the settings of this process and its children: the ports that were really taken."""
    global _current
    _current = replace(current(), **changes)
    return _current


class override:
    """Other settings for a while, for tests: `with override(max_size=1000): …`."""

    def __init__(self, **changes: Any) -> None:
        self.changes = changes

    def __enter__(self) -> Conf:
        global _current
        self.before = current()
        _current = replace(self.before, **self.changes)
        return _current

    def __exit__(self, *_: object) -> None:
        global _current
        _current = self.before


def described() -> list[dict[str, str]]:
    """Name, default, unit and reason of each setting, for documents and `doctor`."""
    keys = ("name", "default", "unit", "reason")
    return [{key: cast(str, each.metadata[key]) for key in keys} for each in fields(Conf)]
