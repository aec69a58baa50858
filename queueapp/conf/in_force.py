"""The settings of this process."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

from queueapp.conf.reading import load
from queueapp.conf.settings import Conf

_current: Conf | None = None


def current() -> Conf:
    """The settings of this process, read from its environment at first use."""
    global _current
    if _current is None:
        _current = load(os.environ)
    return _current


def settle(**changes: Any) -> Conf:
    """From here on the settings of this process and its children: the ports that were really taken."""
    global _current
    _current = replace(current(), **changes)
    return _current


class override:
    """Other settings for a while, for tests: `with override(max_size=1000): …`."""

    def __init__(self, **changes: Any) -> None:
        self.changes = changes

    def __enter__(self) -> Conf:
        global _current
        self.before = current()
        _current = replace(self.before, **self.changes)
        return _current

    def __exit__(self, *_: object) -> None:
        global _current
        _current = self.before
