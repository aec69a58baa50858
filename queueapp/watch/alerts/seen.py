"""What a condition found: plain values, before anything is stored."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from queueapp.models import AlertRule
    from queueapp.watch.alerts.facts import Facts

ALL = "all"


@dataclass(frozen=True, slots=True)
class Seen:
    """`key`: on what, such as `domain:example.com`, or `all`. `label` and `title` are for people; `cause` is
    what alerts are grouped by. `detail` as in models/alert.py. `severity`: "" is the rule's own."""

    key: str
    title: str
    label: str = "the whole queue"
    scope: str = ALL
    value: float | None = None
    threshold: float | None = None
    cause: str = ""
    severity: str = ""
    detail: dict[str, Any] = field(default_factory=dict)


class Look(Protocol):
    def __call__(self, rule: AlertRule, facts: Facts) -> Iterable[Seen]: ...


@dataclass(frozen=True, slots=True)
class Condition:
    """`unit` of its threshold; "" where it has none. `scopes`: on what it can be looked at, the first one by
    itself. `muted_by`: conditions that explain it: while one of them holds, nobody is told of this one.
    `every`: seconds between two looks at least; one that costs much is looked at less often. `has_search`: it
    counts what its rule's search selects; all of these share one allowance. `than`: how it is held against
    its threshold."""

    name: str
    look: Look
    title: str
    sentence: str
    unit: str = ""
    scopes: tuple[str, ...] = (ALL,)
    muted_by: tuple[str, ...] = ()
    every: float = 5.0
    has_search: bool = False
    than: str = "at least"
