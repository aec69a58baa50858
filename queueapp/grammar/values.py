"""What each key of the search grammar takes, and what its values become."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from difflib import get_close_matches

from queueapp.mail.address import AddressError, parse_address
from queueapp.mail.classes import CLASSES

from .query import BYTES, SECONDS, AddressText, Text, Value

STATES = ("queued", "sending", "deferred", "held", "delivered", "bounced", "expired", "deleted")
SOURCES = ("smtp", "http", "backend", "sendmail", "campaign", "report")

_LARGEST = 2**63 - 1
_MOST_BYTES = 10**15
_LONGEST = 10 * 366 * 86_400
_DURATION = re.compile(r"(?:[0-9]{1,9}[smhdw])+")
_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)([KMG]?B|[KMG])", re.IGNORECASE)
_BARE_DOMAIN = re.compile(r"[^\s@*.]+(?:\.[^\s@*.]+)+")


class Wrong(Exception):
    def __init__(self, why: str, hint: str = "") -> None:
        self.why = why
        self.hint = hint


def _plain(value: Text) -> str:
    return "*".join(value.parts)


def guess(word: str, among: Iterable[str]) -> str:
    close = get_close_matches(word.lower()[:40], list(among), 1)
    return f"Did you mean {close[0]}?" if close else ""


def _one_of(allowed: tuple[str, ...], **also: str) -> Callable[[str, Text], Value]:
    def read(key: str, value: Text) -> str:
        word = _plain(value).lower()
        word = also.get(word, word)
        if word not in allowed:
            shown = _plain(value)[:40]
            raise Wrong(f"unknown {key} {shown!r}: one of {', '.join(allowed)}", guess(word, allowed))
        return word

    return read


def _any_text(key: str, value: Text) -> Text:
    if value == Text(("",)):
        raise Wrong(f"{key}: is empty")
    return value


def _message_id(key: str, value: Text) -> Text:
    first, *rest = value.parts
    parts = [first.lstrip("<"), *rest]
    parts[-1] = parts[-1].rstrip(">")
    return _any_text(key, Text(tuple(parts)))


def _domain(key: str, value: Text) -> Text:
    first, *rest = (part.lower() for part in value.parts)
    first = first.lstrip("@")
    name = _any_text(key, Text((first, *rest)))
    if rest:
        return name
    try:
        return Text((parse_address(f"x@{first}", max_len=300).domain,))
    except AddressError:
        return name


def _address(key: str, value: Text) -> AddressText:
    if value in (Text(("",)), Text(("<>",))):
        return AddressText("null", Text(("",)))
    first, exact = value.parts[0], value.is_exact
    if first.startswith("@") and (value.parts != ("@",)):
        return AddressText("domain", _domain(key, Text((first[1:], *value.parts[1:]))))
    if exact and _BARE_DOMAIN.fullmatch(first):
        return AddressText("domain", _domain(key, value))
    if "@" not in _plain(value).strip("@"):
        return AddressText("part", value)
    try:
        return AddressText("address", Text((str(parse_address(first)),)) if exact else value)
    except AddressError:
        return AddressText("part", value)


def _code(key: str, value: Text) -> int | str:
    text = _plain(value)
    if re.fullmatch(r"[2-5][0-9][0-9]", text, re.ASCII):
        return int(text)
    if re.fullmatch(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}", text, re.ASCII):
        return text
    raise Wrong(f"{text[:40]!r} is neither a reply code (421) nor an enhanced status code (4.7.1)")


def _number(most: int) -> Callable[[str, Text], Value]:
    def read(key: str, value: Text) -> int:
        text = _plain(value)
        if not re.fullmatch(r"[0-9]{1,19}", text, re.ASCII) or int(text) > most:
            raise Wrong(f"{key}: {text[:40]!r} is no whole number from 0 to {most}")
        return int(text)

    return read


def _duration(key: str, value: Text) -> int:
    text = _plain(value).lower()
    if not _DURATION.fullmatch(text):
        raise Wrong(f"{key}: {text[:40]!r} is no duration: a number with s, m, h, d or w")
    seconds = sum(int(number) * SECONDS[unit] for number, unit in re.findall(r"([0-9]+)([a-z])", text))
    if seconds > _LONGEST:
        raise Wrong(f"{key}: {text[:40]!r} is longer than ten years")
    return seconds


def _size(key: str, value: Text) -> int:
    found = _SIZE.fullmatch(_plain(value))
    if not found:
        raise Wrong(f"{key}: {_plain(value)[:40]!r} is no size: a number with B, KB, MB or GB")
    unit = found.group(2).upper()
    whole, _, part = found.group(1).partition(".")
    factor = BYTES[unit if unit.endswith("B") else f"{unit}B"]
    size = int(whole) * factor + int(part or 0) * factor // 10 ** len(part)
    if size > _MOST_BYTES:
        raise Wrong(f"{key}: {_plain(value)[:40]!r} is more than {_MOST_BYTES // 10**9} GB")
    return size


READERS: dict[str, Callable[[str, Text], Value]] = {
    "state": _one_of(STATES),
    "domain": _domain,
    "site": _domain,
    "from": _address,
    "to": _address,
    "subject": _any_text,
    "class": _one_of((*CLASSES, "none")),
    "code": _code,
    "reason": _any_text,
    "age": _duration,
    "attempts": _number(2**31 - 1),
    "size": _size,
    "next": _duration,
    "priority": _number(9),
    "route": _any_text,
    "campaign": _any_text,
    "source": _one_of(SOURCES, api="http"),
    "tag": _any_text,
    "login": _any_text,
    "host": _any_text,
    "id": _number(_LARGEST),
    "msgid": _message_id,
    "has": _one_of(("attachment", "reply")),
    "is": _one_of(("ambiguous",)),
}
KEYS = tuple(READERS)
COMPARED = frozenset({"age", "attempts", "size", "next", "priority"})
EXAMPLES = {
    **{key: f"Such as {key}:value." for key in KEYS},
    "state": "Such as state:deferred.",
    "domain": "Such as domain:example.com.",
    "from": "Such as from:ann@example.com, or from:example.com.",
    "to": "Such as to:ann@example.com, or to:example.com.",
    "subject": 'Such as subject:"big sale".',
    "class": "Such as class:blocklisted.",
    "code": "Such as code:421 or code:4.7.1.",
    "age": "Such as age>2h or age<30m.",
    "attempts": "Such as attempts>=3.",
    "size": "Such as size>1MB.",
    "next": "Such as next<10m.",
    "priority": "Such as priority:9 or priority>=7.",
    "id": "Such as id:42.",
    "has": "Such as has:attachment.",
    "is": "Such as is:ambiguous.",
}
