"""The overview: drawn once here, kept up to date by the socket (static/js/overview.js)."""

from __future__ import annotations

import json
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from dashboard import snapshot
from dashboard.snapshot.history import SPANS
from dashboard.snapshot.hour import METRICS
from dashboard.snapshot.links import OPEN_STATES, deliveries
from queueapp import conf
from queueapp.models import OPEN, State, board

_OPEN = [state.value for state in OPEN]
_FINAL = [State.DELIVERED.value, State.BOUNCED.value, State.EXPIRED.value]
_DOMAIN_STATES = board.STATES
_RESULTS = ("delivered", "deferred", "bounced")
_DUE = "state:queued state:deferred next<1m"
_LEVELS = ("danger", "warning", "info")
_PART_STATES = ("running", "restarting", "stopped")


@login_required
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    found = snapshot.build()
    context = {
        "snapshot": found,
        "strip": found["strip"],
        "alert_to": conf.current().alert_to,
        "chart": {**found["hour"], "start": found["hour"]["start"].isoformat()},
        "cards": [_card(state, found) for state in _OPEN + _FINAL],
        "rates": [_rate(metric, found) for metric in METRICS],
        "n_open": sum(found["depth"][state] for state in _OPEN),
        "open_url": deliveries(OPEN_STATES),
        "due_url": deliveries(_DUE),
        "spans": SPANS,
        "is_empty": not any(found["depth"].values()),
        "badges": (*_DOMAIN_STATES, *_RESULTS, *_PART_STATES, *_LEVELS),
        "addresses": _addresses(),
    }
    return render(request, "overview/page.html", context)


def _rate(metric: str, found: dict[str, Any]) -> dict[str, Any]:
    search = "age<1h" if metric == "accepted" else f"state:{metric} age<1h"
    n = found["rates"].get(metric, 0)
    return {"metric": metric, "n": n, "sum": sum(found["hour"][metric]), "url": deliveries(search)}


def _card(state: str, found: dict[str, Any]) -> dict[str, Any]:
    return {
        "state": state,
        "n": found["depth"][state],
        "url": deliveries(f"state:{state}"),
        "is_open": state in _OPEN,
    }


def _addresses() -> dict[str, str]:
    """Where this system listens: from `run.json`, or as it is set."""
    settings = conf.current()
    set_so = {"http": f"http://{settings.http}", "smtp": str(settings.smtp)}
    try:
        told = json.loads(settings.run_file.read_bytes())
        found = {name: str(told.get(name) or value) for name, value in set_so.items()}
    except (OSError, ValueError, AttributeError):
        found = set_so
    return {**found, "http": found["http"].rstrip("/")}
