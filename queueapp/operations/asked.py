"""What a person asks of a bulk operation: which rows, what to do to them, why; checked, in words for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from queueapp.access import routes
from queueapp.access.change import Wrong
from queueapp.engine.actions import FROM
from queueapp.grammar import parse
from queueapp.models import Delivery
from queueapp.models.delivery import DeliveryQuerySet
from queueapp.models.searching import Search

MOST_IDS = 10_000
SCOPE = "operate"
_ARGUMENTS = {"priority": {"priority"}, "reroute": {"route"}}
_SEEN_FOR = timedelta(hours=1)
_LARGEST_ID = 2**63 - 1


def chosen(q: str | None, ids: Sequence[int] | None, seen: str, now: datetime) -> DeliveryQuerySet:
    """The rows that a request names. Raises GrammarError and Wrong."""
    if (q is None) == (ids is None):
        raise Wrong("q", "either q (a search; the empty one is all) or ids (a list of numbers) is needed")
    if ids is not None:
        if not 0 < len(ids) <= MOST_IDS:
            raise Wrong("ids", f"from 1 to {MOST_IDS} ids can be named, and not {len(ids)}: use a search")
        return Delivery.objects.filter(pk__in=[pk for pk in set(ids) if 0 < pk <= _LARGEST_ID])
    assert q is not None
    last, at = read_seen(seen, now) if seen else (None, now)
    rows = Search(parse(q), at).rows
    return rows if last is None else rows.filter(pk__lte=last)


def seen_now(now: datetime) -> str:
    """What a preview gives along: the last row there was, and the time that ages were reckoned from."""
    last = Delivery.objects.order_by("-id").values_list("id", flat=True).first()
    return f"{last or 0}.{int(now.timestamp() * 1_000_000)}"


def read_seen(text: str, now: datetime) -> tuple[int, datetime]:
    """Raises Wrong."""
    last, _, at = text.partition(".")
    wrong = Wrong("seen", "seen is none of a preview's, or older than an hour: look again")
    if len(text) > 40 or not (last.isascii() and last.isdigit() and at.isascii() and at.isdigit()):
        raise wrong
    when = datetime.fromtimestamp(min(int(at) / 1_000_000, 2**32), now.tzinfo)
    if not now - _SEEN_FOR <= when <= now + timedelta(minutes=1):
        raise wrong
    return min(int(last), _LARGEST_ID), when


def check_action(action: str) -> None:
    if action not in FROM:
        raise Wrong("action", f"action {action[:40]!r} is not one of {', '.join(FROM)}")


def reason_of(reason: str) -> str:
    text = reason.strip()
    if len(text) > 200 or not text.isprintable():
        raise Wrong("reason", "a reason is at most 200 printable characters")
    return text


def token_of(token: str) -> str:
    if len(token) > 64 or not token.isprintable():
        raise Wrong("token", "a token is at most 64 printable characters")
    return token


def scope_of(action: str) -> str:
    """What is needed to ask for it: where mail goes is where it can be read."""
    return routes.SCOPE if action == "reroute" else SCOPE


def check_arguments(action: str, arguments: Mapping[str, Any] | None) -> dict[str, Any]:
    """As they are kept: a route with its number, so that another one of that name is not taken for it."""
    given = dict(arguments or {})
    wanted = _ARGUMENTS.get(action, set())
    if unknown := sorted(given.keys() - wanted):
        raise Wrong("arguments", f"{action} takes no {str(unknown[0])[:40]!r}")
    if action == "reroute":
        name = given.get("route")
        if not isinstance(name, str) or not name:
            raise Wrong("route", "the name of a route is needed, or default")
        row = routes.named(name)
        return {"route": row.name if row else routes.DEFAULT, "route_id": row.pk if row else None}
    if action == "priority":
        number = given.get("priority")
        if type(number) is not int or not 0 <= number <= 9:
            raise Wrong("arguments.priority", "a priority from 0 to 9 is needed; 9 is sent first")
    return given
