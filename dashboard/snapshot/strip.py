"""The red strip on top of the overview: alerts that are critical, and listings, each with the way to help."""

from __future__ import annotations

from typing import Any

from django.urls import reverse

MOST = 3
LISTING = "listing"
Row = dict[str, Any]
_SHOWN = ("key", "told", "since", "link")


def strip(found: dict[str, Any]) -> list[Row]:
    """[{key, told, since, link, word}], at most MOST and one that tells of the rest."""
    rows, seen = [], set()
    for each in found["alerts"]:
        if each["severity"] == "critical" and not each["is_quiet"] and each["key"] not in seen:
            seen.add(each["key"])
            rows.append(
                {**{name: each[name] for name in ("key", "told", "since", "link")}, "word": "See why"}
            )
    # An alert about listings tells of them already.
    is_told = any(each["condition"] == LISTING and not each["is_quiet"] for each in found["alerts"])
    listed = [] if is_told else _listed(found["listings"])
    shown = rows[: MOST - len(listed)] + listed
    left = max(len(rows), found["n_alerts"]["critical"]) - (len(shown) - len(listed))
    if left > 0 and shown:
        shown.append(_rest(left, shown[0]["since"]))
    return shown


def _listed(listings: Row) -> list[Row]:
    worst = listings["worst"]
    if worst is None or worst["severity"] == "info":
        return []
    more = max(listings["n"], listings["n_named"]) - 1
    also = f", and {more:,} more listing{'' if more == 1 else 's'}" if more > 0 else ""
    how = "is on" if worst["is_confirmed"] else "is refused by receivers, who name"
    told = f"{worst['target']} {how} {worst['title']}{also}"
    row = {"key": f"{worst['target']} {worst['list']}", "told": told, "since": worst["since"]}
    return [{**row, "link": worst["url"], "word": "The way off"}]


def _rest(n: int, since: Any) -> Row:
    told = f"{n:,} more critical alert{'' if n == 1 else 's'}"
    return {"key": "rest", "told": told, "since": since, "link": reverse("alerts"), "word": "See all"}
