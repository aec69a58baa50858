"""`doctor why [SCOPE]`: why mail waits, in a terminal, as the watch saw it last.

SCOPE is nothing (the whole queue), `domain:NAME`, `site:NUMBER or NAME`, `sender:ADDRESS` or
`campaign:NAME`. A database that is away is told as the cause that it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db import InterfaceError, OperationalError
from django.utils import timezone

from queueapp.management.base import database_away
from queueapp.management.columns import printable
from queueapp.models import Diagnosis, Site
from queueapp.watch.diagnosis import ask, store, told
from queueapp.watch.diagnosis.causes.table import CAUSES, FLOWING

_KINDS = ("domain", "site", "sender", "campaign")
Told = dict[str, Any]


class WrongScope(ValueError):
    """The text is for people."""


def look(scope: str) -> Told:
    """{"looked_at", "is_stale", "scope", "causes": […]}. Raises WrongScope."""
    kind, key = _scope(scope)
    now = timezone.now()
    try:
        key = _site(key) if kind == "site" else key
        if not ask.exists(kind, key):
            raise WrongScope(f"There is no {kind} {key!r}: nobody wrote to it yet.")
        rows = [*(ask.stops() if kind != "all" else []), *ask.ask(kind, key, now)]
        looked_at = store.looked_at()
    except (OperationalError, InterfaceError) as error:
        return _away(error)
    return {
        "looked_at": looked_at.isoformat() if looked_at else None,
        "is_stale": told.is_stale(looked_at, now),
        "scope": scope or "all",
        "causes": [_cause(row) for row in rows if row.cause != FLOWING],
    }


def lines(found: Told) -> Iterator[str]:
    """In plain text, nothing that could steer a terminal."""
    if found["is_stale"]:
        since = found["looked_at"]
        yield (f"Nobody has looked since {since}" if since else "Nobody has looked yet") + (
            ": see that `manage.py watch` runs (`up` starts it)."
        )
    if not found["causes"]:
        if not found["is_stale"]:
            yield "The queue is flowing." if found["scope"] == "all" else "Nothing is stuck there."
        return
    for place, cause in enumerate(found["causes"], 1):
        yield f"{place}. {printable(cause['title'])}: {cause['counted']}, since {cause['since']}"
        yield f"   {printable(cause['sentence'])}"
        for what, how in cause["lines"]:
            yield f"   · {printable(what)}: {printable(how)}"
        for record in cause["records"]:
            state = printable(record["wrong"] or "right")
            yield f"   · {record['what']} {printable(record['name'])}: {state}"
            if record["wrong"] and record["should"]:
                yield f"     should be: {printable(record['should'])}"
        for reply in cause["replies"]:
            yield f"   · {reply['n']:,} × {printable(reply['text'])}"
        yield f"   → {printable(cause['remedy'])}"
        for act in cause["commands"]:
            yield f"     manage.py {printable(act)}"


def is_bad(found: Told) -> bool:
    """Whether there is something for a person to do."""
    return found["is_stale"] or any(cause["level"] in ("warning", "danger") for cause in found["causes"])


def _scope(text: str) -> tuple[str, str]:
    if not text or text == "all":
        return "all", ""
    kind, colon, key = text.partition(":")
    if not colon or kind not in _KINDS:
        examples = "domain:example.com, site:7, sender:ann@example.com, campaign:spring"
        raise WrongScope(f"{text[:80]!r} is no scope: {examples}, or nothing for the whole queue.")
    return kind, key.lower() if kind in ("domain", "sender") else key


def _site(key: str) -> str:
    """A site by its number or its name."""
    row = None if key.isdigit() else Site.objects.filter(name=key).order_by("pk").first()
    return str(row.pk) if row else key


def _cause(row: Diagnosis) -> Told:
    cause = told.cause_of(row)
    return {
        "cause": row.cause,
        "title": cause.title,
        "level": cause.level,
        "n": row.n,
        "n_failed": row.n_failed,
        "counted": told.counted(row),
        "share": row.share,
        "since": row.since.isoformat(timespec="seconds"),
        "sentence": told.sentence(row),
        "remedy": told.remedy(row),
        "lines": row.evidence.get("lines", []),
        "records": row.evidence.get("records", []),
        "replies": row.evidence.get("replies", []),
        "commands": [text for act in told.acts(row) if (text := _command(act))],
    }


def _command(act: told.Act) -> str:
    if act.q and act.verb in ("release", "hold", "delete", "retry"):
        return f"queue {act.verb} {_quoted(act.q)}"
    return f"queue list {_quoted(act.q)}" if act.verb == "open" else ""


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _away(error: Exception) -> Told:
    cause = CAUSES["database"]
    away: Told = {
        "cause": "database",
        "title": "The database is away",
        "level": "danger",
        "n": 0,
        "n_failed": 0,
        "counted": "nothing can be counted",
        "share": 1.0,
        "since": "now",
        "sentence": "Without it nothing is accepted or sent; clients are told to try again.",
        "remedy": database_away(error),
        "lines": [],
        "records": [],
        "replies": [],
        "commands": [],
    }
    return {"looked_at": None, "is_stale": False, "scope": "all", "causes": [{**away, "cause": cause.name}]}
