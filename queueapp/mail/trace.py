"""The Received line that we put on top of what we pass on (RFC 5321 section 4.4, RFC 3848)."""

from __future__ import annotations

import re
from datetime import datetime
from email.utils import format_datetime

_NOT_PLAIN = re.compile(r"[^A-Za-z0-9.:\-_\[\]]")


def received_line(
    *, helo: str, client: str, hostname: str, protocol: str, queue_id: str, at: datetime
) -> bytes:
    """One folded header field with CRLF. What the submitter chose (`helo`) is cut to harmless characters."""
    who = _NOT_PLAIN.sub("", helo)[:255]
    where = _NOT_PLAIN.sub("", client)[:64]
    if ":" in where:
        where = f"IPv6:{where}"
    origin = f"from {who or 'localhost'}" + (f" ([{where}])" if where else "")
    date = format_datetime(at)
    return (
        f"Received: {origin}\r\n\tby {_NOT_PLAIN.sub('', hostname)} (Mailweir) with {protocol or 'ESMTP'}"
        f" id {queue_id};\r\n\t{date}\r\n"
    ).encode("ascii")
