"""What is posted to a webhook, and how it is signed.

The signature is `X-Mailweir-Signature: t=UNIX,v1=HEX`: HMAC-SHA256 with MAILWEIR_ALERT_WEBHOOK_SECRET over
`UNIX.BODY`. Who checks it refuses a time that is more than five minutes off.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime
from typing import Any

from queueapp.models import AlertGroup
from queueapp.watch.notify.words import Story

HEADER = "X-Mailweir-Signature"
_MARK = {"critical": ":red_circle:", "warning": ":warning:", "info": ":information_source:"}


def body(channel: str, told: Story, group: AlertGroup | None, now: datetime) -> dict[str, Any]:
    return slack(told) if channel == "slack" else plain(told, group, now)


def plain(told: Story, group: AlertGroup | None, now: datetime) -> dict[str, Any]:
    return {
        "event": told.kind,
        "at": now.isoformat(),
        "host": told.host,
        "group": group.pk if group else None,
        "severity": told.severity,
        "title": told.title,
        "since": group.since.isoformat() if group else None,
        "resolved_at": group.resolved_at.isoformat() if group and group.resolved_at else None,
        "n": told.n,
        "alerts": [
            {
                "title": row.title, "on": row.label, "value": row.value, "threshold": row.threshold,
                "since": row.since, "state": row.state,
            }
            for row in told.rows
        ],
        "causes": [{"text": name, "n": n} for name, n in told.causes],
        "sites": [{"name": name, "n": n} for name, n in told.sites],
        "reply": told.reply,
        "advice": told.advice,
        "links": dict(told.links),
    }  # fmt: skip


def slack(told: Story) -> dict[str, Any]:
    """As Slack, Mattermost, Rocket.Chat and others take it; names that strangers made are no markup there."""
    mark = ":white_check_mark:" if told.kind == "resolved" else _MARK.get(told.severity, "")
    lines = [f"{mark} *{_plain(told.subject)}*", _plain(told.lead)]
    lines += [f"• {_plain(name)} {n}" for name, n in told.causes[:3]]
    lines += [_plain(told.advice)] if told.advice else []
    lines.append(" | ".join(f"<{address}|{label}>" for label, address in told.links))
    return {"text": "\n".join(filter(None, lines))}


def signature(secret: str, content: bytes, at: int) -> str:
    made = hmac.new(secret.encode(), f"{at}.".encode() + content, hashlib.sha256)
    return f"t={at},v1={made.hexdigest()}"


def _plain(text: str) -> str:
    """`<!channel>` of a stranger must call nobody, and `*` changes nothing."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "".join(f"\u200b{char}" if char in "*_~`@" else char for char in escaped)
