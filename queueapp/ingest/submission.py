"""What a way in hands to the gate, and what the gate answers (ingest/accept.py)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

MAX_LINE = 998
"""Octets of a line without its end, RFC 5322 2.1.1."""


@dataclass(frozen=True, slots=True)
class Submission:
    """What a client hands over. `sender` "" is the null sender; `content` the MIME source.

    `requires_tls`: REQUIRETLS of SMTP, RFC 8689. `has_clean_lines`: who hands it over has looked at each
    line, as our SMTP server does: CR LF ends it, it is not too long and holds no NUL.
    """

    sender: str
    recipients: tuple[str, ...]
    content: bytes
    source: str
    client: str = ""
    helo: str = ""
    protocol: str = ""
    login: str = ""
    priority: int = 5
    send_at: datetime | None = None
    expires_at: datetime | None = None
    tags: tuple[str, ...] = ()
    idempotency_key: str = ""
    requires_tls: bool = False
    has_clean_lines: bool = False


@dataclass(frozen=True, slots=True)
class Accepted:
    """The stored message; of each delivery (id, recipient, state). `is_repeat`: by an idempotency key."""

    message_id: int
    deliveries: list[tuple[int, str, str]]
    is_repeat: bool = False


class Refused(Exception):
    """`code` and `enhanced` for SMTP, `status` for HTTP, `field` of the submission."""

    def __init__(self, code: int, enhanced: str, text: str, field: str = "", status: int = 422) -> None:
        super().__init__(text)
        self.code, self.enhanced, self.text, self.field, self.status = code, enhanced, text, field, status


class TryLater(Refused):
    """Nothing is wrong with the mail: we can't take it now."""

    def __init__(self, text: str, code: int = 451, enhanced: str = "4.3.0", status: int = 503) -> None:
        super().__init__(code, enhanced, text, "", status)
