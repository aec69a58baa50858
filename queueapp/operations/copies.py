"""A copy of a mail to the sandbox, as its receiver would get it; the original stays as it is.

It goes straight to the sandbox's own address by SMTP, past queue and routes, so that it can't end
anywhere else; its envelope names no recipient of the mail. Promises: ends within half a minute; leaves an
audit row, also where the sandbox did not take it.
"""

from __future__ import annotations

import asyncio
import re

from queueapp import conf
from queueapp.access.change import AccessError, Actor, Missing, allow, audited, known
from queueapp.engine import bodies
from queueapp.engine.signing import CannotSign
from queueapp.models import Message
from queueapp.operations.asked import SCOPE
from queueapp.transports.base import Endpoint, Envelope, Options, Outcome, SessionFailed, Timeouts
from queueapp.transports.smtp.client import Session

_QUICK = Timeouts(connect=3, greeting=5, mail=5, rcpt=5, data_start=5, data_block=10, data_end=20, quit=1)
_LONGEST = 30.0
_KEPT = re.compile(r"kept as (\d{1,18})")


class NotTaken(AccessError):
    """The sandbox is not there, or did not take it."""


def copy_to_sandbox(actor: Actor, message_id: int) -> int:
    """The number of the mail in the sandbox. Raises AccessError."""
    target = f"message {message_id}"
    allow(actor, SCOPE, "message.copy", target)
    message = Message.objects.filter(pk=known(message_id)).first()
    content = _content(message.pk) if message else None
    if message is None or content is None:
        raise Missing(f"There is no message {message_id}, or its source is gone.")
    envelope = Envelope(
        message.sender, (f"copy-of-message-{message.pk}@sandbox.test",), content,
        needs_utf8=message.needs_utf8, is_8bit=message.is_8bit,
    )  # fmt: skip
    # Outside the transaction: SQLite has one writer, and the sandbox may take its time.
    outcome = asyncio.run(_send(envelope))
    with audited(actor, SCOPE, "message.copy", target) as detail:
        detail |= {"subject": message.subject[:200], "reply": outcome.reply[:200]}
    found = _KEPT.search(outcome.text)
    if outcome.result != "delivered" or not found:
        raise NotTaken(f"The sandbox at {conf.current().sandbox} did not take the copy: {outcome.reply}")
    return int(found[1])


def _content(message_id: int) -> bytes | None:
    try:
        return bodies.load_one(message_id)
    except CannotSign as error:
        raise NotTaken(f"The mail can't be made as it would leave: {error}") from None


async def _send(envelope: Envelope) -> Outcome:
    current = conf.current()
    options = Options(current.host, tls="none", timeouts=_QUICK, transcripts="off")
    try:
        async with asyncio.timeout(_LONGEST):
            session = await Session.open(Endpoint(current.sandbox.host, current.sandbox.port), options)
            try:
                return (await session.send(envelope))[0]
            finally:
                await session.quit()
    except SessionFailed as failed:
        return failed.outcome
    except TimeoutError:
        return Outcome("deferred", "connection", text=f"no end after {_LONGEST:g} s")
