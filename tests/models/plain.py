"""What a search selects, said a second time in plain Python: the reference that the SQL is held against."""

from __future__ import annotations

import operator
import re
from datetime import datetime, timedelta

from queueapp.grammar import AddressText, Query, Term, Text
from queueapp.models import Delivery

_OPS = {"=": operator.eq, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


def selects(query: Query, row: Delivery, now: datetime) -> bool:
    """Terms of one key are OR; comparisons, words and excluded terms are AND each."""
    wanted: dict[str, bool] = {}
    for term in query.terms:
        if term.is_negated or term.op != "=" or term.key == "word":
            if term_selects(term, row, now) == term.is_negated:
                return False
        else:
            wanted[term.key] = wanted.get(term.key, False) or term_selects(term, row, now)
    return all(wanted.values())


def term_selects(term: Term, row: Delivery, now: datetime) -> bool:
    message, value, compare = row.message, term.value, _OPS[term.op]
    match term.key:
        case "state":
            return row.state == value
        case "domain":
            return whole(value, row.domain.name)
        case "site":
            return bool(row.domain.site) and whole(value, row.domain.site.name)
        case "from":
            return address(value, message.sender, message.sender_domain)
        case "to":
            return address(value, row.recipient, row.domain.name)
        case "subject":
            return inside(value, message.subject)
        case "class":
            return row.last_class == ("" if value == "none" else value)
        case "code":
            return value in (row.last_code, row.last_enhanced)
        case "reason":
            return inside(value, row.last_text) or inside(value, row.hold_reason)
        case "age":
            return compare(now - row.accepted_at, timedelta(seconds=value))
        case "attempts":
            return compare(row.n_attempts, value)
        case "size":
            return compare(message.size, value)
        case "next":
            waits = row.state in ("queued", "deferred") and row.next_attempt_at is not None
            return waits and compare(row.next_attempt_at - now, timedelta(seconds=value))
        case "priority":
            return compare(row.priority, value)
        case "route":
            return row.route is not None and whole(value, row.route.name)
        case "source":
            return message.source == value
        case "tag":
            return any(whole(value, tag) for tag in message.tags)
        case "login":
            return whole(value, message.login)
        case "campaign":
            names = [tag[9:] for tag in message.tags if tag[:9].lower() == "campaign:"]
            return any(whole(value, name) for name in names)
        case "host":
            return True
        case "id":
            return row.pk == value
        case "msgid":
            return (
                message.message_id == value.parts[0] if value.is_exact else whole(value, message.message_id)
            )
        case "has":
            return message.has_attachment if value == "attachment" else row.last_text != ""
        case "is":
            return row.is_ambiguous
        case "word":
            return any(inside(value, text) for text in (message.sender, message.subject, row.recipient))
    raise AssertionError(term.key)


def address(value: AddressText, found: str, domain: str) -> bool:
    match value.kind:
        case "null":
            return found == ""
        case "domain":
            return whole(value.text, domain)
        case "part":
            return inside(value.text, found)
    return whole(value.text, found)


def whole(text: Text, found: str) -> bool:
    return re.fullmatch(pattern(text), found, re.DOTALL | re.IGNORECASE | re.ASCII) is not None


def inside(text: Text, found: str) -> bool:
    return re.search(pattern(text), found, re.DOTALL | re.IGNORECASE | re.ASCII) is not None


def pattern(text: Text) -> str:
    """ASCII letters in either case; a text with others as written, small, in capitals or capitalised."""
    ways = [text.parts]
    if not "".join(text.parts).isascii():
        ways += [tuple(way(part) for part in text.parts) for way in (str.lower, str.upper, str.capitalize)]
    return "|".join(f"(?:{'.*'.join(map(re.escape, parts))})" for parts in ways)
