"""Which cause a reply speaks of: its class, and where one class has several causes, its text."""

from __future__ import annotations

import re
from functools import lru_cache

_BY_CLASS = {
    "greylisted": "greylisting",
    "rate_limited": "rate_limit",
    "busy": "receiver_down",
    "connection": "receiver_down",
    "dns": "dns",
    "tls": "tls",
    "mailbox_full": "mailbox_full",
    "no_such_user": "other",
    "no_such_domain": "other",
    "blocklisted": "blocklist",
    "authentication": "authentication",
    "content": "content",
    "policy": "policy",
}
_MOST = 500
_CONNECTIONS = re.compile(
    r"(too many|concurrent|simultaneous|maximum|max|limit)[^.]{0,40}(connection|session)"
    r"|(connection|session)s?[^.]{0,20}(limit|exceeded)|connections from your",
    re.I,
)
_REVERSE = re.compile(
    r"\bptr\b|reverse[- ](dns|host|lookup|resol|record|map)|\br-?dns\b|revdns|fcrdns|forward[- ]confirmed"
    r"|cannot find your (reverse )?host|ip name lookup|does not resolve back|\b[45]\.7\.25\b",
    re.I,
)
_OUR_DISK = re.compile(r"the journal can't be written", re.I)
_TIMED_OUT = re.compile(r"connecting to .* (timed out|failed: (network is unreachable|no route))", re.I)


@lru_cache(maxsize=4096)
def cause_of(reply_class: str, reply: str) -> str:
    """The name of a cause; "" where there is no reply yet. `reply` with its enhanced code, if it has one."""
    if not reply_class or reply_class in ("delivered", "suppressed", "cancelled", "readdressed", "expired"):
        return ""
    text = reply[:_MOST]
    if reply_class == "busy" and _CONNECTIONS.search(text):
        return "too_many_connections"
    if reply_class == "policy" and _REVERSE.search(text):
        return "reverse_dns"
    if reply_class == "other" and _OUR_DISK.search(text):
        return "disk"
    return _BY_CLASS.get(reply_class, "other")


def failed_cause_of(reply_class: str, reply: str) -> str:
    """The same of what bounced: there an unknown address belongs to a list."""
    return "bad_list" if reply_class in ("no_such_user", "no_such_domain") else cause_of(reply_class, reply)


def is_timeout(reply: str) -> bool:
    """Our side heard nothing at all: no answer to the connection, or no way there."""
    return bool(_TIMED_OUT.search(reply[:_MOST]))
