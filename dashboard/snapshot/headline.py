"""The one sentence on top: what is stuck, why, since when, and where to look.

The rules are asked in order, the worst first; the first that holds speaks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.urls import reverse

from dashboard.snapshot.links import OPEN_STATES, deliveries, open_for

LATE = 300.0  # seconds: mail that was due longer ago than this is late
NO_RUNNER = 15.0  # seconds: a runner starts well within this

Line = dict[str, Any]
_EMPTY: Line = {"detail": "", "since": None, "url": "", "link": "", "act_url": "", "act": ""}


def headline(found: dict[str, Any], claimable_for: float | None) -> Line:
    """{"level": ok|info|warning|danger, "title", "detail", "since", "url", "link", "act_url", "act"}

    `claimable_for`: the seconds that mail which a runner may take has waited. What somebody has suspended
    is due as well, and nobody is late with it.
    """
    for rule in _RULES:
        line = rule({**found, "claimable_for": claimable_for})
        if line:
            return {**_EMPTY, **line}
    raise AssertionError("the last rule always holds")


def _nobody_works(found: dict[str, Any]) -> Line | None:
    late = found["claimable_for"]
    if found["runners"] or late is None or late < NO_RUNNER:
        return None
    return {
        "level": "danger",
        "title": "Nothing is being delivered: no queue runner is at work.",
        "detail": "Mail is accepted and safe, but waits. See that `manage.py up` or the RQ workers run; "
        "`manage.py doctor` tells what is wrong.",
        **_waiting(found),
    }


def _part_is_down(found: dict[str, Any]) -> Line | None:
    down = [part for part in found["parts"] if part["state"] in ("restarting", "stopped")]
    if not down:
        return None
    names = ", ".join(part["name"] for part in down[:5])
    again = "is being started again" if down[0]["state"] == "restarting" else "has stopped"
    return {
        "level": "danger",
        "title": f"{names} {again}.",
        "detail": f"Last exit: {down[0]['last_exit']}." if down[0]["last_exit"] else "",
    }


def _is_late(found: dict[str, Any]) -> Line | None:
    late = found["claimable_for"]
    if late is None or late < LATE:
        return None
    return {
        "level": "warning",
        "title": "Mail is late: more is due than the runners send.",
        "detail": f"The oldest due delivery has waited for {int(late // 60)} minutes.",
        **_waiting(found),
    }


_DOES = {
    "suspended": "is suspended",
    "dead": "has answered no session for an hour",
    "backing_off": "makes us back off",
}


def _is_stuck(found: dict[str, Any]) -> Line | None:
    rows = found["stuck"]["worst"]
    if not rows:
        return None
    worst, more = rows[0], found["stuck"]["n"] - 1
    also = f" {more:,} more domain{'s are' if more > 1 else ' is'} stuck too." if more else ""
    word = "Resume…" if worst["act_url"].endswith("/resume") else "Lift…"
    return {
        "level": "warning",
        "title": f"{worst['name']} {_DOES[worst['state']]}: {_n_wait(worst['n_open'])}.{also}",
        "detail": " ".join(part for part in (worst["cause"], worst["reply"]) if part),
        "since": worst["since"],
        "url": f"{reverse('board')}?state=stuck" if more else worst["page_url"],
        "link": "See all that is stuck" if more else "See why",
        "act_url": worst["act_url"],
        "act": word if worst["act_url"] else "",
    }


def _retries(found: dict[str, Any]) -> Line | None:
    n = found["depth"]["deferred"]
    if not n:
        return None
    worst = next((row for row in found["domains"] if row["n_deferred"]), None)
    return {
        "level": "info",
        "title": f"{_n_wait(n)} for {'its' if n == 1 else 'their'} next attempt.",
        "detail": f"Most of them for {worst['name']}. {worst['cause']}" if worst else "",
        "url": open_for(worst["name"]) if worst else deliveries("state:deferred"),
        "link": "See them",
    }


def _all_is_well(found: dict[str, Any]) -> Line:
    depth = found["depth"]
    if depth["queued"] + depth["sending"]:
        return {"level": "ok", "title": "Mail is flowing.", "detail": "Nothing is stuck."}
    if not any(depth.values()):
        return {"level": "ok", "title": "Ready.", "detail": "No mail has come in yet."}
    held = depth["held"]
    if held:
        return {
            "level": "info",
            "title": f"All is delivered but {held:,} that {'is' if held == 1 else 'are'} held.",
            "url": deliveries("state:held"),
            "link": "See them",
        }
    return {"level": "ok", "title": "All is delivered.", "detail": "Nothing waits in the queue."}


def _n_wait(n: int) -> str:
    return f"{n:,} deliver{'y waits' if n == 1 else 'ies wait'}"


def _waiting(found: dict[str, Any]) -> Line:
    return {"url": deliveries(OPEN_STATES), "link": "See what waits"}


_RULES: tuple[Callable[[dict[str, Any]], Line | None], ...] = (
    _nobody_works,
    _part_is_down,
    _is_late,
    _is_stuck,
    _retries,
    _all_is_well,
)
