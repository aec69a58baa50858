"""Who may change what: the frame that every change of limits, sources and holds runs in.

`change` checks the scope, opens one transaction, and writes the audit row and the revision in it, so
that runners look again, and tells the dashboards on commit. A change that is not allowed leaves an
audit row too.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from queueapp import events
from queueapp.access.actions import AccessError
from queueapp.models import AuditEvent, revision


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks: a user, an API key or `command`, with its scopes, and from which address."""

    name: str
    scopes: frozenset[str]
    origin: str = ""


COMMAND = Actor("command", frozenset({"submit", "read", "operate", "admin"}))


class NotAllowed(AccessError):
    """The actor lacks the scope."""


class Missing(AccessError):
    """There is no such thing."""


class Taken(AccessError):
    """It is there already, or in use."""


class Wrong(AccessError):
    """A value that can't be: `field` says which."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field


def known(pk: int) -> int:
    """A number that a row may have; 0, which none has, for one that no database takes."""
    return pk if 0 < pk < 2**63 else 0


@contextlib.contextmanager
def change(actor: Actor, scope: str, action: str, target: str) -> Iterator[dict[str, Any]]:
    """Yields the audit row's detail, to be filled in. Raises NotAllowed."""
    if scope not in actor.scopes:
        _note(actor, action, target, {"needs": scope}, is_refused=True)
        has = ", ".join(sorted(actor.scopes)) or "none"
        raise NotAllowed(f"This needs the scope {scope!r}; {actor.name!r} has: {has}.")
    detail: dict[str, Any] = {}
    with transaction.atomic():
        yield detail
        n = detail.pop("n", 1)
        _note(actor, action, detail.pop("target", target), detail, n=n)
        revision.bump()
        events.publish("sites")


def _note(
    actor: Actor, action: str, target: str, detail: dict[str, Any], *, n: int = 0, is_refused: bool = False
) -> None:
    AuditEvent.objects.create(
        actor=actor.name[:150], origin=actor.origin[:64], action=action, target=target[:255], n=n,
        detail=detail, is_refused=is_refused,
    )  # fmt: skip
