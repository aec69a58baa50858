"""Addresses on the Web that are told, from the settings: by a name that shows no secret."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from queueapp import conf


@dataclass(frozen=True, slots=True)
class Hook:
    """`shown`: scheme and host, and a mark that tells two of one host apart."""

    channel: str
    url: str = field(repr=False)

    @property
    def shown(self) -> str:
        return shown(self.url)


def hooks() -> list[Hook]:
    current = conf.current()
    return [Hook("webhook", url) for url in current.alert_webhook] + [
        Hook("slack", url) for url in current.alert_slack
    ]


def find(channel: str, name: str) -> Hook | None:
    """None: it is not in the settings any more."""
    return next((hook for hook in hooks() if hook.channel == channel and hook.shown == name), None)


def shown(url: str) -> str:
    """What follows the host is a secret with many services, and so is a login before it."""
    parts = urlsplit(url)
    mark = hashlib.sha256(url.encode()).hexdigest()[:6]
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{host}{port}/… ({mark})"
