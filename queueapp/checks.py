"""What is set in a way that will hurt: Django system checks with an id and a hint.

Nothing here stops a start: what can't work at all is refused by `queueapp/conf` and by `up`
itself. `manage.py check`, `up` and `doctor` show these.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Warning, register

from queueapp import conf
from queueapp.conf import Address, Conf
from queueapp.watch.blocklists import lists

TAG = "mailweir"
_NETWORK = (
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "9p",
    "fuse.sshfs",
    "fuse.glusterfs",
    "ceph",
    "lustre",
    "afs",
)
_SMALLEST, _LARGEST = 10_000, 1_000_000_000


@register(TAG)
def settings_are_sound(app_configs: Sequence[AppConfig] | None = None, **_: Any) -> list[CheckMessage]:
    return list(findings(conf.current()))


def findings(settings: Conf) -> Iterator[CheckMessage]:
    yield from _relay(settings)
    yield from _dashboard(settings)
    yield from _submission(settings)
    yield from _files(settings)
    yield from _sizes(settings)
    yield from _blocklists(settings)


def is_loopback(address: Address) -> bool:
    with suppress(ValueError):
        return ipaddress.ip_address(address.host).is_loopback
    return address.host == "localhost"


def _warn(number: int, text: str, hint: str) -> CheckMessage:
    return Warning(text, hint=hint, id=f"mailweir.W{number:03}")


def _relay(settings: Conf) -> Iterator[CheckMessage]:
    routes = [("MAILWEIR_ROUTE", settings.route, 1)]
    routes += [("MAILWEIR_ALERT_SMTP", way, 2) for way in settings.alert_smtp]
    for name, route, number in routes:
        if route.password and route.tls in ("none", "opportunistic") and not _is_here(route.host):
            yield _warn(
                number,
                f"{name} sends its password to {route.host} without asking for TLS (tls={route.tls}).",
                f"Add ?tls=starttls (usually port 587) or ?tls=tls (usually port 465) to {name}.",
            )


def _is_here(host: str) -> bool:
    return is_loopback(Address(host, 0))


def _dashboard(settings: Conf) -> Iterator[CheckMessage]:
    if is_loopback(settings.http):
        return
    if not settings.allowed_hosts:
        yield _warn(
            3,
            f"MAILWEIR_HTTP={settings.http} is reachable from outside, but MAILWEIR_ALLOWED_HOSTS is empty.",
            "Set it to the names that browsers use, or every one of them is answered with 400.",
        )
    if settings.https == "no":
        yield _warn(
            4,
            f"MAILWEIR_HTTP={settings.http} is reachable from outside without HTTPS: passwords can be read.",
            "Put a proxy with a certificate in front, listen on 127.0.0.1, and set MAILWEIR_HTTPS=yes.",
        )


def _submission(settings: Conf) -> Iterator[CheckMessage]:
    if not is_loopback(settings.smtp) and not settings.smtp_cert:
        yield _warn(
            5,
            f"MAILWEIR_SMTP={settings.smtp} is reachable from outside, but there is no certificate: "
            "nobody from there can log in.",
            "Set MAILWEIR_SMTP_CERT (and MAILWEIR_SMTP_KEY), or listen on 127.0.0.1.",
        )
    if not is_loopback(settings.sandbox):
        yield _warn(
            6,
            f"MAILWEIR_SANDBOX={settings.sandbox} takes mail from everybody who can reach it.",
            "Listen on 127.0.0.1 unless other machines test against it.",
        )


def _files(settings: Conf) -> Iterator[CheckMessage]:
    kind = file_system(settings.home)
    if kind in _NETWORK and not settings.database_url:
        yield _warn(
            7,
            f"The SQLite database in {settings.home} is on a network file system ({kind}); locks may fail.",
            "Set MAILWEIR_HOME to a local disk, or DATABASE_URL to a PostgreSQL.",
        )
    key = settings.secret_key_file or settings.home / "secret_key"
    for path, most in ((key, 0o600), (settings.home, 0o700), (settings.smtp_key, 0o640)):
        if path and (mode := _mode(path)) is not None and mode & ~most & 0o077:
            yield _warn(
                8,
                f"{path} may be read by other users of this machine (mode {mode:o}).",
                f"chmod {most:o} {path}",
            )


def _mode(path: Path) -> int | None:
    with suppress(OSError):
        return path.stat().st_mode & 0o777
    return None


def file_system(path: Path) -> str:
    """The type of the file system that holds the path, as /proc/mounts calls it; "" if unknown."""
    best, kind = "", ""
    with suppress(OSError):
        for line in Path("/proc/mounts").read_text().splitlines():
            _, mount, found = line.split()[:3]
            mount = mount.encode().decode("unicode_escape")
            is_above = mount == "/" or str(path) == mount or str(path).startswith(mount + "/")
            if is_above and len(mount) >= len(best):
                best, kind = mount, found
    return kind


def _sizes(settings: Conf) -> Iterator[CheckMessage]:
    if not _SMALLEST <= settings.max_size <= _LARGEST:
        yield _warn(
            9,
            f"MAILWEIR_MAX_SIZE is {settings.max_size} bytes.",
            "Common receivers take 10 to 50 MB; each mail is held in memory while it is taken and sent.",
        )
    if settings.retry_first > settings.retry_cap:
        yield _warn(
            10,
            "MAILWEIR_RETRY_FIRST is longer than MAILWEIR_RETRY_CAP, so the cap is the wait from the start.",
            "Set the first wait below the cap, such as 5m and 4h.",
        )
    if settings.workers > 4 * (os.cpu_count() or 1):
        yield _warn(
            11,
            f"MAILWEIR_WORKERS={settings.workers} on {os.cpu_count()} processors.",
            "One runner holds hundreds of sessions; more than two for each processor only take memory.",
        )


def _blocklists(settings: Conf) -> Iterator[CheckMessage]:
    choice = lists.chosen(settings)
    for name in choice.unknown:
        yield _warn(
            45,
            f"MAILWEIR_BLOCKLISTS names {name!r}, which is no list that is known.",
            f"Known are: {', '.join(lists.LISTS)}.",
        )
    keys = {each.key for each in lists.LISTS.values() if each.key}
    for name, _ in settings.blocklist_keys:
        if name not in keys:
            yield _warn(
                46,
                f"MAILWEIR_BLOCKLIST_KEYS has a key for {name!r}, and no list takes one of that name.",
                f"Names of keys are: {', '.join(sorted(keys))}.",
            )
