"""Times and amounts for people.

`moment` writes UTC, which static/js/times.js turns into the reader's zone; UTC stays in the title.
"""

from __future__ import annotations

from datetime import UTC, datetime

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()

_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


@register.simple_tag
def moment(at: datetime | str | None, form: str = "time") -> SafeString | str:
    """`form`: time (14:03:07), ago (3 min ago), or until (in 5 min). An empty one has no text."""
    if not at:
        return ""
    at = datetime.fromisoformat(at) if isinstance(at, str) else at
    at = at.astimezone(UTC)
    return format_html(
        '<time datetime="{}" title="{} UTC" data-form="{}">{} UTC</time>',
        at.isoformat(timespec="seconds"),
        f"{at:%F %T}",
        form,
        f"{at:%F %R}",
    )


@register.filter
def duration(seconds: float | None) -> str:
    """Two units at most: 42 s, 3 min, 2 h 5 min, 4 d 3 h. Like `duration` of static/js/times.js."""
    if seconds is None:
        return "–"
    left = max(0, int(seconds))
    for place, (size, unit) in enumerate(_UNITS):
        if left >= size or size == 1:
            n, rest = divmod(left, size)
            small, name = _UNITS[place + 1] if place + 1 < len(_UNITS) else (1, "")
            second = f" {rest // small} {name}" if rest >= small and n < 10 and name not in ("", "s") else ""
            return f"{n} {unit}{second}"
    raise AssertionError("the last unit always fits")


@register.filter
def took(seconds: float | None) -> str:
    """How long something took: below ten seconds with its tenths. Like `took` of static/js/times.js."""
    if seconds is None or seconds >= 10:
        return duration(seconds)
    tenths = int(seconds * 10 + 0.5)
    return f"{tenths / 10:g} s"


@register.filter
def octets(n: int) -> str:
    size, unit = float(n), "B"
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit == "B" or size >= 10 else f"{size:.1f} {unit}"


@register.filter
def grouped(n: float) -> str:
    """12431 as 12,431; a rate keeps one place below ten."""
    if isinstance(n, float) and n != int(n) and n < 10:
        return f"{n:.1f}"
    return f"{round(n):,}"
