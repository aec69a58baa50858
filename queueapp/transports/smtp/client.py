"""One SMTP session that takes message after message. The way out of all mail.

Promises: `send` returns one outcome per recipient and never raises for what a server or the network
did; each wait has a deadline (RFC 5321 section 4.5.3.2); memory is bounded by the message sent.
Never: retries, knows a queue, logs, lets two sends overlap.
`ahead` of `send` may give the envelope of the next one; it is asked for behind the dot, which saves its
round trip. That one is sent next, or the session is ended.
On failure the session is closed and `is_usable` is false; open another one. An exception of
`on_dot`, or a cancelled task, closes the session before the dot leaves and goes to the caller.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from queueapp.transports.smtp import transcript
from queueapp.transports.smtp.opening import Link, open_link
from queueapp.transports.smtp.transaction import Transaction
from queueapp.transports.smtp.wire import Broken

if TYPE_CHECKING:
    from collections.abc import Callable

    from queueapp.transports.base import Endpoint, Envelope, Options, Outcome, Timeouts, Transcripts


class Session:
    """Open it with `open`, `send` while `is_usable`, end it with `quit`."""

    def __init__(self, link: Link, timeouts: Timeouts, transcripts: Transcripts = "failed") -> None:
        self._link = link
        self._transcripts = transcripts
        self._timeouts = timeouts
        self._needs_reset = False
        self._is_busy = False
        self._begun: Transaction | None = None
        self.n_sent = 0  # transactions so far; a break at stage "mail" after one may be a stale connection

    @classmethod
    async def open(cls, endpoint: Endpoint, options: Options) -> Session:
        """Connect, greet, secure and log in; raises `SessionFailed`."""
        return cls(await open_link(endpoint, options), options.timeouts, options.transcripts)

    @property
    def is_usable(self) -> bool:
        if self._begun is not None:
            return self._link.wire.broken is None and not self._is_busy
        return self._link.wire.is_quiet and not self._is_busy

    @property
    def begun(self) -> Envelope | None:
        """What was asked for behind the last dot; nothing else may be sent now."""
        return self._begun.envelope if self._begun is not None and self._link.wire.broken is None else None

    async def send(
        self,
        envelope: Envelope,
        on_dot: Callable[[list[int]], None] | None = None,
        ahead: Callable[[], Envelope | None] | None = None,
    ) -> list[Outcome]:
        """One outcome per recipient, same order. `on_dot` gets the indexes of the accepted ones; `ahead`
        is called right after it, once this session has shown that it answers as it is asked."""
        if self._is_busy:
            raise RuntimeError("this session is in the middle of another send")
        transaction, self._begun = self._begun, None
        if transaction is None:
            transaction = Transaction(self._link, envelope, self._timeouts)
        elif transaction.envelope is not envelope:
            self.abort()
            raise RuntimeError("this session has begun another mail")
        self._is_busy = True
        try:
            outcomes = await transaction.run(
                on_dot, reset_first=self._needs_reset, ahead=partial(self._next, ahead) if ahead else None
            )
        except BaseException:
            self.abort()
            raise
        finally:
            self._is_busy = False
        self._needs_reset = transaction.is_open
        if not all(outcome.result == "delivered" for outcome in outcomes) or self._transcripts == "all":
            outcomes = self._with_transcripts(transaction, outcomes)
        self.n_sent += 1
        if self._link.wire.broken is None:
            self._begun = transaction.following
        if self._begun is None and not self._link.wire.is_quiet:
            self.abort()
        return outcomes

    def _next(self, ahead: Callable[[], Envelope | None]) -> Transaction | None:
        is_known = self.n_sent > 0 and self._link.features.has_pipelining
        envelope = ahead() if is_known else None
        return Transaction(self._link, envelope, self._timeouts) if envelope is not None else None

    def _with_transcripts(self, transaction: Transaction, outcomes: list[Outcome]) -> list[Outcome]:
        if self._transcripts == "off":
            return outcomes
        is_wanted = [self._transcripts == "all" or each.result != "delivered" for each in outcomes]
        names = [transaction.rcpt(index) for index, wanted in enumerate(is_wanted) if wanted]
        texts = iter(transcript.written(self._link.said, transaction.exchange, self.n_sent, names))
        pairs = zip(outcomes, is_wanted, strict=True)
        return [replace(each, transcript=next(texts)) if wanted else each for each, wanted in pairs]

    async def quit(self) -> None:
        """Say QUIT, wait a moment for the answer, close. Never raises for what the server does."""
        wire = self._link.wire
        try:
            if self.is_usable and self._begun is None:
                wire.write(b"QUIT\r\n", n_replies=1)
                await wire.reply(self._timeouts.quit, "QUIT")
        except Broken:
            pass
        finally:
            self.abort()

    def abort(self) -> None:
        """Close at once, without a word."""
        self._begun = None
        self._link.wire.close()
