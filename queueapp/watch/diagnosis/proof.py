"""The evidence of each finding as it is kept: replies in groups, lines of facts, places, records."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from queueapp.watch.diagnosis.causes.finding import ALL, Finding, Scope
from queueapp.watch.diagnosis.evidence import groups

MOST_PLACES = 5
MOST_OF_KIND = {"all": 1, "site": 100, "domain": 300, "sender": 50, "campaign": 20}
_FEWER_GROUPS, _FEWER_EXAMPLES = 3, 2


def of_all(findings: list[Finding]) -> Iterator[tuple[Finding, dict[str, Any]]]:
    """Of the fullest scopes of each kind, and of ALL."""
    kept, places = _fullest(findings), _places(findings)
    for finding in findings:
        if finding.scope in kept:
            yield finding, of_one(finding, places)


def of_one(finding: Finding, places: dict[str, list[list[Any]]] | None = None) -> dict[str, Any]:
    weight = finding.n / len(finding.rows) if finding.is_estimate and finding.rows and finding.n else 1.0
    replies = groups(finding.rows, max(1.0, weight))
    if finding.scope != ALL:
        replies = replies[:_FEWER_GROUPS]
        for group in replies:
            del group["examples"][_FEWER_EXAMPLES:]
    found: dict[str, Any] = {
        "replies": replies,
        "lines": [list(line) for line in finding.lines],
        **finding.more,
    }
    if finding.scope == ALL and places:
        found["where"] = places.get(finding.cause, [])
    return found


def _fullest(findings: list[Finding]) -> set[Scope]:
    sums: dict[Scope, int] = defaultdict(int)
    for finding in findings:
        sums[finding.scope] += finding.n + finding.n_failed
    kept: set[Scope] = set()
    for kind, most in MOST_OF_KIND.items():
        scopes = [scope for scope in sums if scope[0] == kind]
        kept |= set(sorted(scopes, key=lambda scope: (-sums[scope], scope[1]))[:most])
    return kept


def _places(findings: list[Finding]) -> dict[str, list[list[Any]]]:
    """Cause to [kind, key, name, n] where it holds or fails most: domains and sites."""
    found: dict[str, list[list[Any]]] = defaultdict(list)
    for kind in ("domain", "site"):
        by_cause: dict[str, list[Finding]] = defaultdict(list)
        for finding in findings:
            if finding.scope[0] == kind:
                by_cause[finding.cause].append(finding)
        for cause, some in by_cause.items():
            some.sort(key=lambda each: (-(each.n + each.n_failed), each.scope))
            found[cause] += [
                [kind, each.scope[1], each.name, each.n + each.n_failed] for each in some[:MOST_PLACES]
            ]
    return dict(found)
