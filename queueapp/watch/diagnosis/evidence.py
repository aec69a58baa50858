"""Replies that say the same, grouped after taking out what varies: the proof of a cause.

A group tells its text, how many of the looked-at deliveries have it, first and last time, some examples, and
the words of the search grammar that open them all. Texts are strangers': whoever draws them escapes them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from queueapp.grammar import Term, Text
from queueapp.mail.gist import gist, shown
from queueapp.models.grouping import BY
from queueapp.watch.diagnosis.facts import Seen

MOST_GROUPS = 6
MOST_EXAMPLES = 3
_LONGEST = 400

Group = dict[str, Any]


def groups(rows: Iterable[Seen], weight: float = 1.0) -> list[Group]:
    """The largest first."""
    together: dict[tuple[Any, ...], list[Seen]] = {}
    for row in rows:
        parts = _gist(row.text)
        # What was set aside because of a reply has its text without its code: the same reply.
        key = (
            (row.reply_class, row.state, parts) if parts else (row.reply_class, row.state, row.code, row.text)
        )
        together.setdefault(key, []).append(row)
    largest = sorted(together.values(), key=lambda some: (-len(some), some[0].text))[:MOST_GROUPS]
    return [_group(some, weight) for some in largest]


def _gist(text: str) -> tuple[str, ...]:
    """What stays of a reply; what can't be printed varies, for no search may hold it."""
    return gist("".join(char if char.isprintable() else " 0 " for char in text))


def _group(rows: list[Seen], weight: float) -> Group:
    first = next((row for row in rows if row.code), rows[0])
    group = _new(first, _gist(first.text), is_one_code=len({row.code for row in rows}) == 1)
    for row in rows:
        _add(group, row)
    group["n"] = round(group["n"] * weight)
    return group


def _new(row: Seen, parts: tuple[str, ...], *, is_one_code: bool) -> Group:
    said = " ".join(part for part in (str(row.code or ""), row.enhanced, shown(parts) or row.text) if part)
    return {
        "text": said[:_LONGEST] or ("no reply yet" if row.state in ("queued", "sending") else ""),
        "class": row.reply_class,
        "state": row.state,
        "n": 0,
        "first_at": None,
        "last_at": None,
        "hosts": [],
        "q": _query(row, parts, row.code if is_one_code else None),
        "examples": [],
    }


def _query(row: Seen, parts: tuple[str, ...], code: int | None) -> str:
    terms = [f"state:{row.state}"]
    if row.state == "held":
        terms += [str(Term("reason", "=", Text(parts)))] if parts else []
    else:
        terms += [f"class:{row.reply_class}"] if row.reply_class else []
        terms += [BY["reply"].terms((code, row.enhanced, parts)) or ""] if code or parts else []
    return " ".join(term for term in terms if term)


def _add(group: Group, row: Seen) -> None:
    group["n"] += 1
    if row.at is not None:
        at = row.at.isoformat()
        group["first_at"] = min(filter(None, (group["first_at"], at)))
        group["last_at"] = max(filter(None, (group["last_at"], at)))
    if row.host and row.host not in group["hosts"] and len(group["hosts"]) < MOST_EXAMPLES:
        group["hosts"].append(row.host)
    if len(group["examples"]) < MOST_EXAMPLES:
        example = {
            "id": row.pk,
            "message_id": row.message_id,
            "recipient": row.recipient,
            "text": row.text[:_LONGEST],
        }
        group["examples"].append(example)


def keep_first(groups: list[Group], before: list[Group]) -> None:
    """What was seen first in an earlier look stays first, though its delivery may be gone by now."""
    known = {group.get("text"): group.get("first_at") for group in before}
    for group in groups:
        first = known.get(group["text"])
        if first and (group["first_at"] is None or first < group["first_at"]):
            group["first_at"] = first
