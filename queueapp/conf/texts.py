"""Reads texts, numbers, times and lists. Each function takes the text of a setting, and raises ValueError
with what is allowed."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from queueapp.conf.values import Hours, Rate

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_LONGEST = 3650 * 86400
_SIZES = {"": 1, "B": 1, "KB": 1000, "MB": 1000**2, "GB": 1000**3}


def text(value: str) -> str:
    if "\0" in value or "\n" in value:
        raise ValueError("one line of text")
    return value


def duration(value: str) -> timedelta:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw])", value.strip())
    seconds = float(match[1]) * UNITS[match[2]] if match else 0
    if not 0 < seconds <= _LONGEST:
        raise ValueError("a time above zero, of ten years at most, such as 30s, 5m, 4h, 5d")
    return timedelta(seconds=seconds)


def no_less_than(least: str) -> Callable[[str], timedelta]:
    def parse(value: str) -> timedelta:
        found = duration(value)
        if found < duration(least):
            raise ValueError(f"a time of {least} or more")
        return found

    return parse


def size(value: str) -> int:
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
    return Rate(int(match[1]), UNITS[match[2]])


def whole(low: int, high: int) -> Callable[[str], int]:
    def parse(value: str) -> int:
        if not re.fullmatch(r"\d{1,9}", value.strip()) or not low <= int(value) <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return int(value)

    return parse


def one_of(*names: str) -> Callable[[str], str]:
    def parse(value: str) -> str:
        if value not in names:
            raise ValueError("one of " + ", ".join(names))
        return value

    return parse


def names(value: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(",") if part.strip())


def path(value: str) -> Path | None:
    return Path(value).expanduser().resolve() if value else None


def folder(value: str) -> Path:
    if not value:
        raise ValueError("a folder")
    return Path(value).expanduser().resolve()


def language_code(value: str) -> str:
    if not re.fullmatch(r"[a-z]{2,3}(-[a-z0-9]{2,8})?", value):
        raise ValueError("the code of a language, such as en, de or pt-br")
    return value


def sender(value: str) -> str:
    if value and not re.fullmatch(r"[^\s@<>\"]{1,64}@[A-Za-z0-9.\-]{1,253}", value):
        raise ValueError("an address such as mailweir@example.com")
    return value


def hours(value: str) -> Hours | None:
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
