"""The recipient domains with the most open deliveries, as the board tells them: for the overview."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.utils import timezone

from dashboard.snapshot import board as rows
from dashboard.snapshot import paging
from dashboard.snapshot.links import site_page
from queueapp.models import Site

TOP = 20

Row = dict[str, Any]
_SHOWN = (
    "id", "name", "site", "state", "n_open", "n_queued", "n_sending", "n_deferred", "n_held",
    "reply_class", "cause", "reply", "since", "next_at", "per_minute",
)  # fmt: skip


def busiest(now: datetime) -> list[Row]:
    return _rows(paging.find("domain", paging.Asked(limit=TOP), now).rows, now)


def stuck(now: datetime) -> tuple[list[Row], int]:
    """The stuck domain with the most open deliveries, alone in its list, and how many there are."""
    found = paging.find("domain", paging.Asked(state=paging.STUCK, limit=1), now)
    worst = [row for row in found.rows if row.n_open]
    return _rows(worst, now), found.count if worst else 0


def _rows(found: list[Any], now: datetime) -> list[Row]:
    return [_row(domain, row) for domain, row in zip(found, rows.of_domains(found, now), strict=True)]


def _row(domain: Any, row: Row) -> Row:
    site = domain.site
    return {
        **{name: row[name] for name in _SHOWN},
        # The site is told only where it says more than the domain.
        "site": row["site"] if row["site"] != row["name"] else "",
        "url": row["open_url"],
        "page_url": row["url"],
        "act_url": _act(row, site),
    }


def _act(row: Row, site: Site | None) -> str:
    """Where the form is that helps."""
    if row["is_suspended"]:
        return f"{row['url']}/resume"
    if site is not None and site.is_suspended(timezone.now()):
        return f"{site_page(site.pk)}/resume"
    is_held = row["state"] in ("suspended", "backing_off", "dead")
    return f"{site_page(site.pk)}/lift" if is_held and site else ""
