"""The e-mail backend for Django projects on other machines: one HTTP request a mail.

Settings of that project: MAILWEIR_URL (`https://mail.example.com`), MAILWEIR_KEY (a key with the
scope `submit`) and, if 30 seconds are wrong, MAILWEIR_TIMEOUT. Needs none of our tables or settings.
Promises: each mail goes under an idempotency key of its own,
so that the one repetition after a lost answer can't send it twice; redirects aren't followed, for
they would take the key along.
"""

from __future__ import annotations

import json
import secrets
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.mail.backends.base import BaseEmailBackend
from django.core.mail.message import EmailMessage

from queueapp.mail.mime import parse_mailbox_header, to_crlf

_MAX_ANSWER = 1_000_000


class SubmitFailed(Exception):
    """Mailweir did not take the mail: `status` (0: no answer), `code` and the text that it gave."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        self.status, self.code, self.detail = status, code, detail
        super().__init__(f"{status or 'no answer'} {code}: {detail}")


class HttpEmailBackend(BaseEmailBackend):
    def __init__(
        self, fail_silently: bool = False, url: str | None = None, key: str | None = None, **_: Any
    ) -> None:
        super().__init__(fail_silently=fail_silently)
        self.url = (url or _setting("MAILWEIR_URL")).rstrip("/")
        self.key = key or _setting("MAILWEIR_KEY")
        self.timeout = float(getattr(settings, "MAILWEIR_TIMEOUT", 30))
        if not self.url.startswith(("http://", "https://")):
            raise ImproperlyConfigured(f"MAILWEIR_URL={self.url!r} must begin with http:// or https://.")

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        """How many were accepted. Raises SubmitFailed."""
        n_sent = 0
        for message in email_messages:
            if not message.recipients():
                continue
            try:
                self._send(message)
                n_sent += 1
            except (SubmitFailed, ValueError):
                if not self.fail_silently:
                    raise
        return n_sent

    def _send(self, message: EmailMessage) -> None:
        envelope = [("from", envelope_address(message.from_email))]
        envelope += [("to", envelope_address(each)) for each in message.recipients()]
        request = urllib.request.Request(  # noqa: S310  the scheme is checked in __init__
            f"{self.url}/api/v1/messages?{urllib.parse.urlencode(envelope)}",
            data=to_crlf(message.message().as_bytes()),
            headers={
                "Authorization": f"Bearer {self.key}",
                "Content-Type": "message/rfc822",
                "Idempotency-Key": secrets.token_urlsafe(24),
            },
            method="POST",
        )
        try:
            self._post(request)
        except SubmitFailed as failed:
            if failed.status:
                raise
            self._post(request)

    def _post(self, request: urllib.request.Request) -> None:
        try:
            with _opener.open(request, timeout=self.timeout) as response:
                response.read(_MAX_ANSWER)
        except urllib.error.HTTPError as error:
            with error:
                raise _refusal(error.code, error.read(_MAX_ANSWER)) from None
        except OSError as error:
            raise SubmitFailed(0, "unreachable", f"{self.url}: {error}") from None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


_opener = urllib.request.build_opener(_NoRedirect)


def _refusal(status: int, body: bytes) -> SubmitFailed:
    try:
        told = json.loads(body)
        return SubmitFailed(status, str(told["error"]), str(told["detail"]))
    except (ValueError, KeyError, TypeError):
        return SubmitFailed(status, "unexpected", body[:200].decode("utf-8", "replace"))


def envelope_address(text: str) -> str:
    """The address of `Name <a@b>`. Never mended by guessing, as Python's own reader does: the gate
    says what is wrong with it. Raises AddressError, a ValueError."""
    if "<" not in text:
        return text
    found = parse_mailbox_header(text)
    return str(found[0][1]) if len(found) == 1 else text


def _setting(name: str) -> str:
    value = getattr(settings, name, "")
    if not value:
        raise ImproperlyConfigured(
            f"{name} is not set: HttpEmailBackend needs MAILWEIR_URL and MAILWEIR_KEY."
        )
    return str(value)
