"""Our addresses and domains on blocklists, as the page, the API and the live figures tell them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.urls import reverse

from queueapp.models import BlocklistTest, Bookmark, Listing
from queueapp.watch import pulse
from queueapp.watch.blocklists import news, targets
from queueapp.watch.blocklists.lists import LISTS, SEVERITIES, Blocklist, chosen

WATCH_IS_LATE = timedelta(minutes=1)
_MOST = 200


def live(now: datetime) -> dict[str, Any]:
    """For the snapshot: how many are confirmed, how many receivers named, the worst, the newest change."""
    rows = sorted(Listing.objects.hurting(now)[:_MOST], key=rank)
    times = dict(Bookmark.objects.filter(pk__in=[news.NAME, pulse.NAME]).values_list("pk", "at"))
    return {
        "n": sum(row.is_confirmed and row.state == "listed" for row in rows),
        "n_named": sum(row.is_named(now) for row in rows),
        "worst": _brief(rows[0], now) if rows else None,
        "changed_at": times.get(news.NAME),
        "watch_is_late": _is_late(times.get(pulse.NAME), now),
    }


def rank(row: Listing) -> tuple[int, bool, datetime]:
    """The worst first, then the confirmed ones, then the oldest. What a receiver names costs mail: danger."""
    severity = SEVERITIES.index(row.severity) if row.severity in SEVERITIES else 0
    return severity, not row.is_confirmed, row.since


def _brief(row: Listing, now: datetime) -> dict[str, Any]:
    is_listed = row.state == "listed"
    return {
        "target": row.target, "list": row.list_name, "title": title(row.list_name),
        "severity": row.severity or "danger", "meaning": row.meaning,
        "is_confirmed": row.is_confirmed and is_listed, "is_named": row.is_named(now),
        "since": row.since if is_listed else row.named_since,
        "url": reverse("blocklist-listing", args=[row.pk]),
    }  # fmt: skip


def title(list_name: str) -> str:
    return LISTS[list_name].title if list_name in LISTS else list_name


def told(row: Listing, now: datetime) -> dict[str, Any]:
    """One row of the API, and what the page draws."""
    known = LISTS.get(row.list_name)
    named = None
    if row.is_named(now):
        named = {
            "n": row.n_named, "since": row.named_since, "at": row.named_at, "reply": row.named_reply,
            "by": row.named_by,
        }  # fmt: skip
    return {
        "id": row.pk, "target": row.target, "kind": row.kind, "list": row.list_name,
        "title": title(row.list_name), "state": row.state, "is_confirmed": row.is_confirmed,
        "since": row.since, "severity": row.severity, "codes": row.codes, "meaning": row.meaning,
        "reason": row.reason, "error": row.error, "doubted_at": row.doubted_at, "checked_at": row.checked_at,
        "next_check_at": row.next_check_at, "is_asked": row.asked_at is not None,
        "removal": known.removal if known else "", "remark": known.remark if known else "", "named": named,
    }  # fmt: skip


def lists_told() -> list[dict[str, Any]]:
    """All that are known: whether they are asked, why not, and how their test entries were."""
    choice = chosen()
    asked = {each.name for each in choice.lists}
    tests: dict[str, list[BlocklistTest]] = {}
    for test in BlocklistTest.objects.order_by("kind"):
        tests.setdefault(test.list_name, []).append(test)
    return [
        _list(each, each.name in asked, choice.why_not, tests.get(each.name, [])) for each in LISTS.values()
    ]


def _list(
    each: Blocklist, is_asked: bool, why_not: Mapping[str, str], tests: Iterable[BlocklistTest]
) -> dict[str, Any]:
    return {
        "name": each.name, "title": each.title, "kinds": list(each.kinds), "zone": each.zone,
        "is_asked": is_asked, "why_not": why_not.get(each.name, ""), "is_default": each.is_default,
        "needs_key": each.needs_key, "takes_key": each.key, "needs_registration": each.needs_registration,
        "allows_public_resolvers": each.is_public, "can_be_asked": each.is_asked, "severity": each.severity,
        "terms": each.terms, "remark": each.remark, "removal": each.removal,
        "tests": [
            {"kind": test.kind, "result": test.result, "error": test.error, "at": test.tested_at}
            for test in tests
        ],
    }  # fmt: skip


def about(now: datetime) -> dict[str, Any]:
    """What else one has to know to read the rows."""
    choice, looked_at = chosen(), pulse.last()
    return {
        "is_on": bool(choice.lists or choice.why_not),
        "unknown": list(choice.unknown),
        "watch_at": looked_at,
        "watch_is_late": _is_late(looked_at, now),
    }


def _is_late(looked_at: datetime | None, now: datetime) -> bool:
    return looked_at is None or looked_at < now - WATCH_IS_LATE


def skipped(found: targets.Targets) -> list[dict[str, str]]:
    return [{"name": each.name, "what": each.what, "why": each.why} for each in found.skipped]
