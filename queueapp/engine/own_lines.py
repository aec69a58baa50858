"""The administrator's own lines of the classifier, in this process.

A runner loads them when its life begins and when it hears of a change (engine/allowance.py looks every two
seconds); web and commands look at the revision before they judge. So no reply costs a query, and a line
counts within seconds. Never: decides anything by itself.
"""

from __future__ import annotations

from queueapp.mail import classify
from queueapp.models import ReplyRule, revision

_seen: int | None = None


def load() -> None:
    """Read the lines that count, and judge by them from now on."""
    global _seen
    # The number first: a change that comes between is read twice, and not missed.
    _seen, lines = revision.number(revision.REPLY_RULES), ReplyRule.objects.lines()
    classify.use(lines)


def look() -> None:
    """Load them where they have changed since; one small query."""
    if revision.number(revision.REPLY_RULES) != _seen:
        load()


def forget() -> None:
    """Judge by the shipped lines alone, and load at the next look. For tests, which take rows back."""
    global _seen
    _seen = None
    classify.use(())
