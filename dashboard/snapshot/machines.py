"""Who works: the queue runners that are alive, and this machine's parts as its supervisor tells them."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from queueapp import conf
from queueapp.models import Runner, host_of

_MAX_PARTS = 200
_TEXTS = ("name", "address", "state", "since", "last_exit")


def runners(now: datetime) -> list[dict[str, Any]]:
    fields = (
        "id",
        "job",
        "machine",
        "pid",
        "started_at",
        "n_sessions",
        "n_delivered",
        "n_deferred",
        "n_bounced",
    )
    rows = Runner.objects.alive().order_by("machine", "id").values(*fields)[:100]
    return [{**row, "machine": host_of(row["machine"])} for row in rows]


def parts() -> list[dict[str, Any]]:
    """From `parts.json`; a file that is missing, half written or wrong reads as no parts."""
    try:
        found = json.loads((conf.current().home / "parts.json").read_bytes())["parts"]
        return [_part(each) for each in found[:_MAX_PARTS]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []


def _part(told: dict[str, Any]) -> dict[str, Any]:
    part: dict[str, Any] = {name: "" if told.get(name) is None else str(told[name])[:200] for name in _TEXTS}
    return {**part, "pid": int(told.get("pid") or 0), "n_restarts": int(told.get("n_restarts") or 0)}
