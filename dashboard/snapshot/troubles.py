"""What is wrong beside alerts: addresses of ours on blocklists, and what rules of back-off hold.

Two queries, each on rows that hold now. A part that is not built in has none.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.apps import apps
from django.db.models import Case, IntegerField, Value, When
from django.urls import NoReverseMatch, reverse

Row = dict[str, Any]
_MOST = 200
"""Listings that are looked at: each address of ours on each list."""


def listings(now: datetime) -> Row:
    """{"n", "worst", "link"}: on a list by two answers, or named by a receiver. `worst`: {id, target,
    list, severity, since} or null."""
    model = _model("Listing")
    if model is None:
        return {"n": 0, "worst": None, "link": ""}
    worst = Case(
        When(severity="danger", then=Value(0)),
        When(severity="warning", then=Value(1)),
        default=Value(2),
        output_field=IntegerField(),
    )
    rows = list(model.objects.hurting(now).annotate(worst=worst).order_by("worst", "since", "pk")[:_MOST])
    return {"n": len(rows), "worst": _listing(rows[0]) if rows else None, "link": _page("blocklists")}


def listings_by_severity(now: datetime) -> dict[str, float]:
    found = dict.fromkeys(("danger", "warning", "info"), 0.0)
    if (model := _model("Listing")) is not None:
        for severity in model.objects.hurting(now).order_by().values_list("severity", flat=True)[:_MOST]:
            found[severity or "warning"] = found.get(severity or "warning", 0.0) + 1
    return found


def _listing(row: Any) -> Row:
    since = row.since if row.is_confirmed else row.named_since or row.since
    return {
        "id": row.pk,
        "target": row.target,
        "list": row.list_name,
        "severity": row.severity or "warning",
        "since": since,
    }


def effects(now: datetime) -> Row:
    """{"n", "link"}."""
    model = _model("Effect")
    return {"n": model.objects.open(now).count() if model else 0, "link": _page("rules")}


def _model(name: str) -> Any:
    try:
        return apps.get_model("queueapp", name)
    except LookupError:
        return None


def _page(name: str) -> str:
    try:
        return reverse(name)
    except NoReverseMatch:
        return ""
