"""Mail that must leave while the database is away, and what was sent that it could not be told of: small
files in MAILWEIR_HOME/alerts.

Promises: a mail is on the disk before it is sent, so that a restart forgets none; it is removed when a
server took it, or after twelve hours. Where even the disk is away it is kept in memory. Files are of
their owner only.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from queueapp import conf
from queueapp.watch.notify import ways
from queueapp.watch.notify.ways import Sent

FIRST, LONGEST, GIVE_UP = timedelta(seconds=20), timedelta(minutes=10), timedelta(hours=12)
log = logging.getLogger(__name__)
_memory: dict[str, dict[str, Any]] = {}
"""By file name: what the disk did not take."""


@dataclass(slots=True)
class Waiting:
    to: str
    content: str
    made_at: datetime
    next_at: datetime
    n_tries: int = 0


def folder() -> Path:
    return conf.current().home / "alerts"


def put(to: str, content: bytes, now: datetime) -> str:
    """Returns the name that it has in the spool."""
    name = f"mail-{secrets.token_hex(8)}.json"
    _write(name, Waiting(to, content.decode(), now, now))
    return name


def send_due(now: datetime) -> int:
    """Returns how many were sent."""
    n = 0
    for name, mail in list(_waiting()):
        if mail.next_at > now:
            continue
        mail.n_tries += 1
        mail.next_at = now + min(LONGEST, FIRST * 2 ** min(mail.n_tries - 1, 10))
        _write(name, mail)
        sent = ways.send(mail.to, mail.content.encode())
        n += sent.is_sent
        if sent.is_sent or now - mail.made_at >= GIVE_UP:
            remove(name)
        if not sent.is_sent:
            log.warning("%s could not be told of the database, try %d: %s", mail.to, mail.n_tries, sent.error)
    return n


def _waiting() -> Iterator[tuple[str, Waiting]]:
    for name in sorted({*_memory, *(path.name for path in _listed())}):
        found = read(name)
        if found is not None:
            times = {key: datetime.fromisoformat(found[key]) for key in ("made_at", "next_at")}
            yield name, Waiting(**{**found, **times})


def _listed() -> list[Path]:
    try:
        return list(folder().glob("mail-*.json"))
    except OSError:
        return []


# ── Notices whose end the database could not be told ──────────────────────────────────────────


def remember(pk: int, sent: Sent) -> None:
    write(f"sent-{pk}.json", asdict(sent))


def sent_before(pk: int) -> Sent | None:
    found = read(f"sent-{pk}.json")
    return Sent(**found) if found else None


def forget(pk: int) -> None:
    remove(f"sent-{pk}.json")


# ── Files ─────────────────────────────────────────────────────────────────────────────────────


def write(name: str, values: dict[str, Any]) -> None:
    """In memory where the disk is full or away."""
    path = folder() / name
    fresh = path.with_suffix(".new")
    try:
        folder().mkdir(mode=0o700, exist_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(values, file)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        _memory.pop(name, None)
    except OSError as error:
        log.warning("%s can't be written (%s): it is kept in memory", path, error)
        _memory[name] = values


def read(name: str) -> dict[str, Any] | None:
    """None: it is not there, or is no file of ours."""
    if name in _memory:
        return _memory[name]
    try:
        found = json.loads((folder() / name).read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def remove(name: str) -> None:
    _memory.pop(name, None)
    try:
        (folder() / name).unlink(missing_ok=True)
    except OSError as error:
        log.warning("%s can't be removed: %s", name, error)


def _write(name: str, mail: Waiting) -> None:
    write(name, {**asdict(mail), "made_at": mail.made_at.isoformat(), "next_at": mail.next_at.isoformat()})
