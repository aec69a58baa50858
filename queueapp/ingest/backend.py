"""E-mail backends for Django projects.

    EMAIL_BACKEND = "queueapp.ingest.backend.EmailBackend"      shares our database (INSTALLED_APPS: queueapp)
    EMAIL_BACKEND = "queueapp.ingest.backend.HttpEmailBackend"  needs only MAILWEIR_URL and MAILWEIR_KEY

Promises: a mail that is counted as sent is stored; Bcc is in the envelope only. `fail_silently`
swallows what was refused and what is away, as in Django's own backends, and counts what was sent.
The second needs neither our tables nor our settings: nothing of them is imported here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django.core.mail.backends.base import BaseEmailBackend
from django.core.mail.message import EmailMessage

from queueapp.ingest.http_backend import HttpEmailBackend, SubmitFailed, envelope_address
from queueapp.mail.mime import to_crlf

if TYPE_CHECKING:
    from queueapp.ingest.submission import Submission

__all__ = ["EmailBackend", "HttpEmailBackend", "SubmitFailed"]


class EmailBackend(BaseEmailBackend):
    """Into the queue through the shared database, in the project's own process."""

    def __init__(self, fail_silently: bool = False, **_: Any) -> None:
        super().__init__(fail_silently=fail_silently)

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        """How many were stored. Raises queueapp.ingest.submission.Refused or a DatabaseError."""
        from django.db import DatabaseError, InterfaceError

        from queueapp.ingest.accept import accept
        from queueapp.ingest.submission import Refused

        n_sent = 0
        for message in email_messages:
            if not message.recipients():
                continue
            try:
                accept(_submission(message))
                n_sent += 1
            except (Refused, DatabaseError, InterfaceError, ValueError):
                if not self.fail_silently:
                    raise
        return n_sent


def _submission(message: EmailMessage) -> Submission:
    from queueapp.ingest.submission import Submission

    return Submission(
        sender=envelope_address(message.from_email),
        recipients=tuple(dict.fromkeys(envelope_address(each) for each in message.recipients())),
        content=to_crlf(message.message().as_bytes()),
        source="backend",
        protocol="local",
    )
