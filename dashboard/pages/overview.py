"""The overview: drawn once here, kept up to date by the socket (static/js/overview.js)."""

from __future__ import annotations

import json
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from dashboard import snapshot
from dashboard.snapshot.hour import METRICS
from dashboard.snapshot.links import deliveries
from queueapp import conf
from queueapp.models import OPEN, State

_OPEN = [state.value for state in OPEN]
_FINAL = [State.DELIVERED.value, State.BOUNCED.value, State.EXPIRED.value]
_DOMAIN_STATES = ("flowing", "backing_off", "suspended", "waiting", "held")
_RESULTS = ("delivered", "deferred", "bounced")
_PART_STATES = ("running", "restarting", "stopped")


@login_required
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    found = snapshot.build()
    context = {
        "snapshot": found,
        "chart": {**found["hour"], "start": found["hour"]["start"].isoformat()},
        "cards": [_card(state, found) for state in _OPEN + _FINAL],
        "rates": [{"metric": metric, "n": found["rates"].get(metric, 0)} for metric in METRICS],
        "is_empty": not any(found["depth"].values()),
        "badges": (*_DOMAIN_STATES, *_RESULTS, *_PART_STATES),
        "addresses": _addresses(),
    }
    return render(request, "overview/page.html", context)


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
