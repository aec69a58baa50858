"""What the dialog of a bulk action sends: which deliveries, what to do with them, and what was confirmed.

A value that is wrong becomes a `Wrong` with its field, as actions raise it; the dialog shows it there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.http import QueryDict
from django.utils.translation import gettext as _

from dashboard.pages.op_words import WORDS
from dashboard.templatetags.times import grouped
from queueapp.access.change import Wrong

TYPED_ABOVE = 1_000
"""From more than so many on the number has to be typed."""
_LARGEST = 10**12
_DIGITS = 18  # of the largest number that a column holds for certain


@dataclass(frozen=True, slots=True)
class Asked:
    """`q` or `ids`; `expect` and `seen` are what the dialog showed, `touched` is the number in its title."""

    action: str
    q: str | None
    ids: list[int] | None
    reason: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)
    expect: int | None = None
    touched: int = 0
    typed: str = ""
    seen: str = ""
    token: str = ""

    @property
    def needs_typing(self) -> bool:
        return self.touched > TYPED_ABOVE

    def check(self) -> None:
        """What the dialog itself demands. Raises Wrong."""
        if WORDS[self.action].is_destructive and not self.reason:
            raise Wrong("reason", _("Say why: the reason stands in the audit."))
        if self.action == "reroute" and not self.arguments["route"]:
            raise Wrong("route", _("Choose the way that they take."))
        if self.needs_typing and self.typed != str(self.touched):
            raise Wrong("typed", _("Type %(n)s to go on.") % {"n": grouped(self.touched)})


def read(post: QueryDict) -> Asked:
    """Raises Wrong."""
    action = post.get("action", "")
    if action not in WORDS:
        raise Wrong("action", _("There is no action %(action)s.") % {"action": repr(action[:40])})
    return Asked(
        action=action,
        q=post.get("q") if "ids" not in post else None,
        ids=_ids(post.get("ids", "")) if "ids" in post else None,
        reason=post.get("reason", "").strip(),
        arguments=_arguments(action, post),
        expect=_whole("expect", post.get("expect", "")) if post.get("expect") else None,
        touched=_whole("touched", post.get("touched", "0")),
        typed="".join(letter for letter in post.get("typed", "") if letter.isalnum())[:20],
        seen=post.get("seen", ""),
        token=post.get("token", ""),
    )


def _arguments(action: str, post: QueryDict) -> dict[str, Any]:
    if action == "priority":
        return {"priority": _whole("priority", post.get("priority", "5"))}
    return {"route": post.get("route", "")[:64]} if action == "reroute" else {}


def _ids(text: str) -> list[int]:
    parts = text.replace(",", " ").split()
    for part in parts:
        if not (part.isascii() and part.isdigit() and len(part) <= _DIGITS):
            raise Wrong("ids", _("%(text)s is no number of a delivery.") % {"text": repr(part[:40])})
    return list(dict.fromkeys(int(part) for part in parts))


def _whole(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 12 or int(text) > _LARGEST:
        raise Wrong(name, _("%(text)s is no whole number.") % {"text": repr(text[:40])})
    return int(text)
