"""Who may do what: the frame that every change by a person or a program runs in.

`allow` checks a scope and writes a refusal down. `audited` does so for a change: it opens one transaction and
writes the audit row in it. `change` is `audited` for limits, sources and holds: the revision grows, so
that runners look again, and dashboards are told on commit.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from queueapp import events
from queueapp.access import refusals
from queueapp.models import SCOPES, AuditEvent, revision
from queueapp.models.access import MEANINGS


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks: a user, an API key or `command`, with its scopes, and from which address."""

    name: str
    scopes: frozenset[str]
    origin: str = ""


COMMAND = Actor("command", frozenset(SCOPES))


class AccessError(ValueError):
    """What can't be done; the text is for people."""


class NotAllowed(AccessError):
    """The actor lacks the scope."""

    def __init__(self, text: str, scope: str = "") -> None:
        super().__init__(text)
        self.scope = scope


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


def allow(
    actor: Actor, scope: str, action: str, target: str, detail: Mapping[str, Any] | None = None
) -> None:
    """Raises NotAllowed, and leaves an audit row with `detail`, where the actor lacks the scope. "" is what
    everybody may do about themselves."""
    if scope and scope not in actor.scopes:
        refusals.note(actor.name, actor.origin, action, target, {**(detail or {}), "needs": scope})
        raise lacks(actor, scope)


def lacks(actor: Actor, scope: str) -> NotAllowed:
    """The refusal in words: what is missing, what that is, what there is instead, and who can help."""
    has = ", ".join(each for each in SCOPES if each in actor.scopes) or "none"
    means = f" ({MEANINGS[scope]})" if scope in MEANINGS else ""
    return NotAllowed(
        f"This needs the scope {scope!r}{means}; {actor.name!r} has: {has}. An administrator can give it.",
        scope,
    )


@contextlib.contextmanager
def audited(actor: Actor, scope: str, action: str, target: str) -> Iterator[dict[str, Any]]:
    """Yields the audit row's detail, to be filled in; `n` and `target` in it are the row's own. Raises
    NotAllowed."""
    allow(actor, scope, action, target)
    detail: dict[str, Any] = {}
    with transaction.atomic():
        yield detail
        n = detail.pop("n", 1)
        note(actor, action, detail.pop("target", target), detail, n=n)


@contextlib.contextmanager
def change(actor: Actor, scope: str, action: str, target: str) -> Iterator[dict[str, Any]]:
    """The same for what runners must know of. Raises NotAllowed."""
    with audited(actor, scope, action, target) as detail:
        yield detail
        revision.bump()
        events.publish("sites")


def note(actor: Actor, action: str, target: str, detail: dict[str, Any], *, n: int = 1) -> None:
    """The audit row of a change, in the transaction that makes it."""
    AuditEvent.objects.create(
        actor=actor.name[:150], origin=actor.origin[:64], action=action,
        target=refusals.printable(target)[:255], n=n, detail=detail,
    )  # fmt: skip
