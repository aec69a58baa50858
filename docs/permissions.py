"""Who may do what, out of the code: every page, route of the API, socket and command, by role.

    .venv/bin/python -m docs.permissions        prints the tables of docs/permissions.md

tests/test_permissions.py checks that the document holds just these lines, and walks them: a route that is new
fails until it is in the document, and one that answers otherwise than it says fails too.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dashboard.settings")
_COMMANDS = Path(__file__).parent.parent / "queueapp" / "management" / "commands"


@dataclass(frozen=True, slots=True)
class Way:
    """`method` is empty for a page; `needs` is a scope, `own` (whoever is logged in) or `public`."""

    method: str
    route: str
    needs: str


def pages() -> list[Way]:
    """All addresses that Django resolves but the API's operations, which ask by themselves."""
    from django.urls import get_resolver

    return sorted(_walk(get_resolver().url_patterns, ""), key=lambda way: way.route)


def _walk(patterns: Any, prefix: str) -> Iterator[Way]:
    from django.urls import URLResolver

    from dashboard.auth.gate import guard_of

    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            if pattern.namespace != "api":
                yield from _walk(pattern.url_patterns, route)
        else:
            yield Way("", "/" + route.replace("^", ""), guard_of(pattern.callback))


def operations() -> list[Way]:
    from dashboard.api.root import api

    return [
        Way(method, f"{prefix}{path}", operation.auth_callbacks[0].scope)
        for prefix, router in api._routers
        for path, view in router.path_operations.items()
        for operation in view.operations
        for method in operation.methods
    ]


def sockets() -> list[Way]:
    from dashboard.realtime.consumer import NEEDS

    return [Way("", "/ws/live", NEEDS)]


def commands() -> list[str]:
    return sorted(path.stem for path in _COMMANDS.glob("*.py") if path.stem != "__init__")


def may(role: str, needs: str) -> bool:
    """Of a person with the role, who is logged in."""
    from queueapp.access.roles import ROLES

    return needs in ("public", "own") or needs in ROLES[role].scopes


def tables() -> str:
    """The lines between the marks of docs/permissions.md."""
    from queueapp.access.roles import ROLES

    titles = [role.title for role in ROLES.values()]
    parts = [_table("Page", pages(), titles), _table("API route", operations(), titles)]
    parts.append(_table("Socket", sockets(), titles))
    shell = ["| Command | Who may |", "|---|---|"]
    shell += [
        f"| `manage.py {name}` | whoever has a shell of Mailweir's user on the machine |"
        for name in commands()
    ]
    return "\n\n".join([*parts, "\n".join(shell)]) + "\n"


def _table(head: str, ways: list[Way], titles: list[str]) -> str:
    from queueapp.access.roles import ROLES

    lines = [f"| {head} | Needs | Stranger | {' | '.join(titles)} |", "|---" * (3 + len(titles)) + "|"]
    for way in ways:
        named = f"`{way.method} {way.route}`" if way.method else f"`{way.route}`"
        answers = ["yes" if may(role, way.needs) else "no" for role in ROLES]
        stranger = "yes" if way.needs == "public" else "no"
        needs = {"own": "a log-in", "public": "nothing"}.get(way.needs, f"`{way.needs}`")
        lines.append(f"| {named} | {needs} | {stranger} | {' | '.join(answers)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    import django

    django.setup()
    print(tables(), end="")  # noqa: T201  it is what this is for
