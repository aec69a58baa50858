"""What becomes of a stored body when it goes out: our Received line, what it lacks, its signature.

Decisions 0007 and 0017: the row stays as submitted; what leaves is made from it each time anew, and is
the same at each try save the time in the signature.
"""

from __future__ import annotations

from datetime import datetime

from queueapp import conf
from queueapp.engine.signing import CannotSign, signed
from queueapp.mail.outgoing import finished
from queueapp.mail.trace import received_line
from queueapp.models.bulk import as_time

Row = tuple[int, bytes, str, str, str, datetime | str, str, str]


def leaving(rows: list[Row]) -> dict[int, bytes | CannotSign]:
    """Message id to what goes out, or why it can't be signed. `rows` are used up: (id, content,
    HELO name, client, protocol, when accepted, Message-ID, sender)."""
    hostname = conf.current().host
    mails: dict[int, tuple[bytes, bytes, str]] = {}
    while rows:
        pk, content, helo, client, protocol, at, message_id, sender = rows.pop()
        accepted_at = as_time(at)
        trace = received_line(
            helo=helo, client=client, hostname=hostname, protocol=protocol, queue_id=str(pk), at=accepted_at
        )
        head, rest = finished(
            bytes(content),
            trace=trace,
            message_id=message_id,
            spare_id=f"{pk}.{accepted_at:%Y%m%d%H%M%S}@{hostname}",
            date=accepted_at,
        )
        content = b""  # a large one must not be there twice for longer than needed
        mails[pk] = head, rest, sender
    return signed(mails)
