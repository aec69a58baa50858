"""Why mail waits, as pages and sockets show it: the rows of the diagnosis with links in place of acts.

Reads what the watch wrote; of a single scope that it did not write, a bounded look
(queueapp/watch/diagnosis/ask.py).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse

from dashboard.snapshot.links import deliveries, domain_page, site_page
from queueapp.models import Diagnosis
from queueapp.watch.diagnosis import ask, store, told
from queueapp.watch.diagnosis.causes.table import CAUSES, FLOWING
from queueapp.watch.diagnosis.told import Act

ON_OVERVIEW = 3
_NEEDS = {"open": "read", "limits": "admin"}
Row = dict[str, Any]


def overview(now: datetime, *, is_empty: bool = False) -> Row:
    """`is_empty`: no mail is open, so nobody misses a look that has not come yet.

    {"looked_at", "is_stale", "is_flowing", "n_more", "causes": the first three, without their proof}
    """
    rows = list(Diagnosis.objects.filter(kind="all").order_by("place"))
    stuck = [row for row in rows if row.cause != FLOWING]
    looked_at = rows[0].seen_at if rows else None  # of the whole queue there is always one
    return {
        "looked_at": looked_at,
        "is_stale": told.is_stale(looked_at, now) and not (is_empty and looked_at is None),
        "is_flowing": not stuck,
        "n_more": max(0, len(stuck) - ON_OVERVIEW),
        "causes": [short(row) for row in stuck[:ON_OVERVIEW]],
    }


def of_scope(kind: str, key: str, now: datetime) -> Row:
    """The same of one scope, with the proof of each cause, and with what holds everything in front."""
    looked_at = store.looked_at()
    rows = ask.ask(kind, key, now)
    above = ask.stops() if kind != "all" else []
    return {
        "looked_at": looked_at,
        "is_stale": told.is_stale(looked_at, now),
        "kind": kind,
        "key": key,
        "name": scope_name(kind, key, rows),
        "above": [short(row) for row in above],
        "causes": [whole(row) for row in rows if row.cause != FLOWING],
        "is_known": ask.exists(kind, key),
    }


def short(row: Diagnosis) -> Row:
    cause = told.cause_of(row)
    act = next(iter(acts(row)), None)
    return {
        "cause": cause.name,
        "title": cause.title,
        "level": cause.level,
        "n": row.n,
        "n_failed": row.n_failed,
        "is_estimate": row.is_estimate,
        "share": row.share,
        "counted": told.counted(row),
        "since": row.since,
        "sentence": told.sentence(row),
        "url": f"{diagnosis_page(row.kind, row.key)}#{cause.name}",
        "act": act["label"] if act else "",
        "act_url": act["url"] if act else "",
        "act_is_dialog": bool(act and act["is_dialog"]),
        "act_needs": act["needs"] if act else "",
    }


def whole(row: Diagnosis) -> Row:
    cause = told.cause_of(row)
    scope = told.scope_terms(row.kind, row.key, row.name)
    return {
        **short(row),
        "seen_at": row.seen_at,
        "remedy": told.remedy(row),
        "help_url": f"{reverse('diagnosis-help')}#{cause.name}",
        "acts": acts(row),
        "lines": row.evidence.get("lines", []),
        "records": row.evidence.get("records", []),
        "where": _places(row.evidence.get("where", [])),
        "replies": [_reply(each, scope) for each in row.evidence.get("replies", [])],
    }


def scopes(kind: str, limit: int) -> list[Row]:
    """The first cause of each scope of a kind, the fullest first."""
    return [
        {
            **short(row),
            "key": row.key,
            "name": row.name or row.key,
            "scope_url": diagnosis_page(kind, row.key),
        }
        for row in ask.fullest(kind, limit)
        if row.cause != FLOWING
    ]


def causes() -> list[Row]:
    """All that can be named, for the page that explains them."""
    return [
        {
            "name": each.name,
            "title": each.title,
            "level": each.level,
            "sentence": each.sentence,
            "remedy": each.remedy,
        }
        for each in CAUSES.values()
    ]


def acts(row: Diagnosis) -> list[Row]:
    """Each with `label`, `url`, `is_dialog` and the scope of the person that it `needs`."""
    return [
        {
            "verb": act.verb,
            "label": act.label,
            "url": url,
            "is_dialog": is_dialog,
            "needs": _NEEDS.get(act.verb, "operate"),
        }
        for act in told.acts(row)
        for url, is_dialog in [_url(act)]
    ]


def diagnosis_page(kind: str, key: str) -> str:
    base = reverse("diagnosis")
    if kind == "all":
        return base
    return f"{base}?{urlencode({'scope': kind, 'key': key})}"


def scope_name(kind: str, key: str, rows: list[Diagnosis]) -> str:
    return next((row.name for row in rows if row.name), key or ("<>" if kind == "sender" else ""))


def _url(act: Act) -> tuple[str, bool]:
    if act.kind == "domain" and act.key and act.verb in ("resume", "retry", "limits"):
        page = domain_page(act.key)
        return (page, False) if "?" in page else (f"{page}/{act.verb}", True)
    if act.kind == "site" and act.key and act.verb in ("lift", "limits"):
        return f"{site_page(int(act.key))}/{act.verb}", True
    if act.verb == "resume":
        return f"{reverse('board')}?state=suspended", False
    return deliveries(act.q), False


def _places(found: list[list[Any]]) -> list[Row]:
    """A site of a single domain tells nothing more than its domain."""
    domains = {(each[2], each[3]) for each in found if each[0] == "domain"}
    return [_where(each) for each in found if each[0] == "domain" or (each[2], each[3]) not in domains]


def _where(each: list[Any]) -> Row:
    kind, key, name, n = each
    url = domain_page(key) if kind == "domain" else site_page(int(key))
    return {"kind": kind, "name": name, "n": n, "url": url}


def _reply(each: Row, scope: str) -> Row:
    q = " ".join(part for part in (scope, each["q"]) if part)
    examples = [
        {**one, "url": f"{reverse('message', args=[one['message_id']])}#delivery-{one['id']}"}
        for one in each["examples"]
    ]
    return {**each, "q": q, "url": deliveries(q), "examples": examples}
