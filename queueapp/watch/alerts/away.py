"""The database is away: told from memory, for no row can be read or written.

Promises: one mail when it has been away for a while, one when it is back, also over a restart of the watch:
what was told stands in MAILWEIR_HOME/alerts. Recipients and ways are those of the settings; silences and
rules can't be read, so none holds.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from queueapp import conf
from queueapp.models import AlertGroup, NoticeKind, Severity
from queueapp.watch.notify import letter, spool
from queueapp.watch.notify.words import line, story

HOLDS_FOR = timedelta(seconds=40)
REMIND_EVERY = timedelta(hours=2)
_NAME = "database-away.json"
_ADVICE = (
    "Start the database that DATABASE_URL names, or make room on its disk. Nothing is accepted or sent until "
    "it is back; what was accepted is safe, and goes on by itself."
)


def note(error: BaseException, now: datetime) -> None:
    """It was asked in vain. Tells when that has been so for a while."""
    state = spool.read(_NAME) or {"since": now.isoformat(), "told_at": "", "thread": letter.new_id()}
    since = datetime.fromisoformat(state["since"])
    if since > now:
        since = now
    state |= {"since": since.isoformat(), "seen_at": now.isoformat(), "error": line(error, 300)}
    told_at = datetime.fromisoformat(state["told_at"]) if state["told_at"] else None
    if told_at is None and now - since >= HOLDS_FOR:
        _tell(NoticeKind.FIRING, state, now)
        state["told_at"] = now.isoformat()
    elif told_at is not None and now - told_at >= REMIND_EVERY:
        _tell(NoticeKind.REMINDER, state, now)
        state["told_at"] = now.isoformat()
    spool.write(_NAME, state)


def over(now: datetime) -> None:
    """It answers."""
    state = spool.read(_NAME)
    if state is None:
        return
    if state["told_at"]:
        _tell(NoticeKind.RESOLVED, state, now)
    spool.remove(_NAME)


def _tell(kind: NoticeKind, state: dict[str, Any], now: datetime) -> None:
    group = AlertGroup(
        key="database-away", title="The database does not answer", severity=Severity.CRITICAL,
        since=datetime.fromisoformat(state["since"]), thread=state["thread"],
    )  # fmt: skip
    told = story(kind, group, (), now, detail={"reply": state.get("error", ""), "advice": _ADVICE})
    is_first = kind == NoticeKind.FIRING
    own, thread = (state["thread"], "") if is_first else ("", state["thread"])
    for to in conf.current().alert_to:
        content = letter.letter(
            told.subject, to, letter.text(told), letter.html(told), now, own_id=own, thread=thread
        )
        spool.put(to, content, now)
