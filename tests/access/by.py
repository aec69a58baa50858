"""Actors for tests: by a command, which may do everything, or with the scopes that the test names."""

from __future__ import annotations

from queueapp.access.change import COMMAND, Actor


def by(name: str = "test", *scopes: str, origin: str = "") -> Actor:
    return Actor(name, frozenset(scopes) if scopes else COMMAND.scopes, origin)
