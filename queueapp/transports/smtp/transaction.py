"""One message through one session: MAIL, RCPT, DATA, the dot (RFC 5321), pipelined where offered (RFC 2920).

Promises: one outcome per recipient in the envelope's order, whatever happens; `on_dot` is called right
before the bytes with the final dot leave, and only if a recipient was accepted; after it, anything
but a reply makes the outcome ambiguous. A refusal that a recipient got stays its own, even if the
session breaks later. Never waits without a deadline.

The envelope of the next mail may follow behind the final dot in the same write (RFC 2920 section 3.1):
`run` begins the transaction that `ahead` gives it. What was begun so has said nothing of its content,
so it may be left: the connection is closed then, and the server forgets it.
"""

from __future__ import annotations

import asyncio
import re
from time import monotonic
from typing import TYPE_CHECKING

from queueapp.transports.smtp.content import END, stuffed
from queueapp.transports.smtp.outcomes import CLOSING
from queueapp.transports.smtp.transcript import Exchange
from queueapp.transports.smtp.wire import Broken

if TYPE_CHECKING:
    from collections.abc import Callable

    from queueapp.transports.base import Envelope, Outcome, Stage, Timeouts
    from queueapp.transports.smtp.opening import Link
    from queueapp.transports.smtp.replies import RawReply

CHUNK = 65536
# What would end the command, or the path in it, early.
_UNSAFE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]|^[^\"]*[<> ]")


class _Closing(Exception):
    """The server said something that ends the session for every recipient that is still open."""

    def __init__(self, reply: RawReply) -> None:
        super().__init__(reply.code)
        self.reply = reply


class Transaction:
    """Made for one envelope, run once. `is_open` afterwards: the server still needs a RSET.

    `exchange`: what was said, for a transcript. `following`: what was begun behind our dot.
    """

    def __init__(self, link: Link, envelope: Envelope, timeouts: Timeouts) -> None:
        self.wire, self.place, self.features = link.wire, link.place, link.features
        self._passes_requiretls = envelope.requires_tls and link.is_verified and link.features.has_requiretls
        self.envelope = envelope
        self.timeouts = timeouts
        self.stage: Stage = "mail"
        self.is_open = False
        self._is_dot_sent = False
        self._outcomes: list[Outcome | None] = [None] * len(envelope.recipients)
        self._accepted: list[int] = []
        self._begun: list[bytes] = []
        self._on_dot: Callable[[list[int]], None] | None = None
        self._ahead: Callable[[], Transaction | None] | None = None
        self.exchange = Exchange()
        self.following: Transaction | None = None

    def begin(self) -> bytes:
        """The commands that ask for all recipients, to be written behind another's dot; b"" where they
        can't go so."""
        self._refuse_what_cannot_go()
        if not self.features.has_pipelining or any(self._outcomes):
            self._outcomes = [None] * len(self._outcomes)
            return b""
        self._begun = self._commands(self._undecided())
        self.exchange.sent, self.exchange.is_pipelined = self._begun, True
        return b"".join(self._begun)

    @property
    def n_begun(self) -> int:
        """How many replies are due to what `begin` gave."""
        return len(self._begun)

    async def run(
        self,
        on_dot: Callable[[list[int]], None] | None,
        *,
        reset_first: bool,
        ahead: Callable[[], Transaction | None] | None = None,
    ) -> list[Outcome]:
        self._on_dot, self._ahead = on_dot, ahead
        if not self._begun:
            self._refuse_what_cannot_go()
        to_send = self._undecided()
        try:
            if to_send:
                await self._converse(to_send, reset_first)
        except _Closing as closing:
            self._settle(self.place.of_reply(closing.reply, self.stage))
            self.wire.close()
        except Broken as broken:
            self.exchange.trouble = broken.text
            self._settle(self.place.of_broken(broken, self.stage, is_ambiguous=self._is_dot_sent))
            self.wire.close()
        return [outcome for outcome in self._outcomes if outcome is not None]

    # Before anything is sent

    def _refuse_what_cannot_go(self) -> None:
        envelope, size = self.envelope, len(self.envelope.content)
        if _UNSAFE.search(envelope.sender):
            self._refuse_all("protocol", "5.1.7", f"the sender {envelope.sender!r} can't be sent as it is")
        elif envelope.requires_tls and envelope.sender and not self._passes_requiretls:
            text = "the sender demands TLS all the way (REQUIRETLS), which this session can't promise"
            self._refuse_all("tls", "5.7.30", text)
        elif self.features.size and size > self.features.size:
            text = f"the mail has {size} octets, and the server takes {self.features.size} at most"
            self._refuse_all("too_large", "5.3.4", text)
        elif not self.features.has_smtputf8 and (envelope.needs_utf8 or not envelope.sender.isascii()):
            self._refuse_all("protocol", "5.6.7", "the mail needs SMTPUTF8, which the server does not offer")
        for index, recipient in enumerate(envelope.recipients):
            if _UNSAFE.search(recipient) or not recipient:
                text = f"the recipient {recipient!r} can't be sent as it is"
                self._outcomes[index] = self.place.of_refusal("protocol", "5.1.3", text)
            elif not recipient.isascii() and not self.features.has_smtputf8:
                text = f"the address {recipient} needs SMTPUTF8, which the server does not offer"
                self._outcomes[index] = self.place.of_refusal("protocol", "5.6.7", text)

    def _refuse_all(self, reply_class: str, enhanced: str, text: str) -> None:
        self._settle(self.place.of_refusal(reply_class, enhanced, text))

    # The conversation

    async def _converse(self, to_send: list[int], reset_first: bool) -> None:
        commands = self._begun or self._commands(to_send)
        if not self._begun and not self.wire.is_quiet:
            raise await self._unasked()
        if not self._begun and self.features.has_pipelining:
            group = [b"RSET\r\n", *commands] if reset_first else commands
            self.wire.write(b"".join(group), n_replies=len(group))
            self.exchange.sent, self.exchange.is_pipelined = group, True
        if reset_first:
            await self._reset()
        await self._envelope(commands, to_send)
        if self.stage != "data":
            return
        reply = await self._reply(commands[-1], self.timeouts.data_start, "DATA")
        await self._after_data(reply)

    async def _envelope(self, commands: list[bytes], to_send: list[int]) -> None:
        """MAIL and every RCPT; the stage is "data" afterwards if DATA is sent or to be sent."""
        mail = await self._reply(commands[0], self.timeouts.mail, "MAIL FROM")
        self.is_open = _is_positive(mail)
        if not self.is_open:
            self._settle(self.place.of_reply(mail, "mail"))
            if not self.features.has_pipelining:
                return
        self.stage = "rcpt"
        for command, index in zip(commands[1:-1], to_send, strict=True):
            reply = await self._reply(command, self.timeouts.rcpt, "RCPT TO")
            if self._outcomes[index] is not None:
                continue
            if _is_positive(reply):
                self._accepted.append(index)
            else:
                self._outcomes[index] = self.place.of_reply(reply, "rcpt")
        if self._accepted or self.features.has_pipelining:
            self.stage = "data"

    async def _after_data(self, reply: RawReply) -> None:
        if reply.code >= 400:
            self._settle(self.place.of_reply(reply, "data"))
        elif reply.code != 354:
            raise _nonsense(reply, "DATA")
        elif self._accepted:
            await self._content()
        else:
            self.stage = "dot"
            self.wire.write(END, n_replies=1)
            await self._reply(b"", self.timeouts.data_end, "the final dot")
            self.is_open = False

    async def _content(self) -> None:
        body = memoryview(stuffed(self.envelope.content))
        last = max(len(body) - len(b"\r\n" + END), 0) // CHUNK * CHUNK  # the final dot is not split
        self.exchange.n_octets = len(self.envelope.content)
        for start in range(0, last, CHUNK):
            await self._may_write()
            self.wire.write(body[start : start + CHUNK])
            self.exchange.n_passed = start + CHUNK
            await asyncio.sleep(0)  # a fast receiver must not hold up the other sessions of this loop
        await self._may_write()
        if self._on_dot is not None:
            self._on_dot(list(self._accepted))
        self.stage, self._is_dot_sent = "dot", True
        self.following = self._ahead() if self._ahead else None
        behind = self.following.begin() if self.following else b""
        if self.following and behind:
            self.wire.write(b"".join((body[last:], behind)), n_replies=1 + self.following.n_begun)
        else:
            self.following = None
            self.wire.write(body[last:], n_replies=1)
        self.exchange.n_passed = len(body)
        reply = await self._reply(b"", self.timeouts.data_end, "the final dot")
        self._is_dot_sent = False
        self.is_open = False
        self._settle(self._final(reply))

    async def _may_write(self) -> None:
        """The socket has room and the server is silent; what it says ahead of the dot is its answer."""
        await self.wire.writable(self.timeouts.data_block)
        if not self.wire.is_quiet:
            raise await self._unasked()

    def _final(self, reply: RawReply) -> Outcome:
        """Where a server answered more often than asked, mail is delivered only if it never said no."""
        # Behind it may be the replies to what follows, whose server is known to answer as it is asked.
        replies = (reply,) if self.following else (reply, *self.wire.replies)
        refusals = [late for late in replies if late.code >= 400 and late.code != CLOSING]
        if refusals and reply is not refusals[-1]:
            reply = refusals[-1]
        if 300 <= reply.code < 400:
            self._is_dot_sent = True
            raise _nonsense(reply, "the final dot")
        return self.place.of_reply(reply, "dot")

    async def _reset(self) -> None:
        reply = await self._reply(b"RSET\r\n", self.timeouts.mail, "RSET")
        if not _is_positive(reply):
            raise _nonsense(reply, "RSET")

    async def _unasked(self) -> Exception:
        """Something came that we did not ask for: a server's last word, or a broken one's chatter."""
        reply = await self.wire.reply(self.timeouts.data_block, "our last command")
        self.exchange.said.append((None, reply, monotonic()))
        is_about_mail = self.stage == "data" and reply.code >= 400
        if is_about_mail or reply.code == CLOSING:
            return _Closing(reply)
        return Broken("protocol", f"the server answered more often than it was asked: {reply.code}")

    async def _reply(self, command: bytes, seconds: float, name: str) -> RawReply:
        if command and not self.features.has_pipelining:
            self.wire.write(command, n_replies=1)
            self.exchange.sent = [*self.exchange.sent, command]
        reply = await self.wire.reply(seconds, name)
        self.exchange.said.append((command, reply, monotonic()))
        if reply.code == CLOSING:
            raise _Closing(reply)
        if 300 <= reply.code < 400 and name not in ("DATA", "the final dot"):
            raise _nonsense(reply, name)
        return reply

    # The commands

    def _commands(self, to_send: list[int]) -> list[bytes]:
        return [self._mail(to_send), *(self.rcpt(index) for index in to_send), b"DATA\r\n"]

    def _mail(self, to_send: list[int]) -> bytes:
        envelope, features = self.envelope, self.features
        line = f"MAIL FROM:<{envelope.sender}>"
        if features.size is not None:
            line += f" SIZE={len(envelope.content)}"
        if envelope.is_8bit and features.has_8bitmime:
            line += " BODY=8BITMIME"
        if envelope.needs_utf8 or not line.isascii() or not self._are_ascii(to_send):
            line += " SMTPUTF8"
        if self._passes_requiretls:
            line += " REQUIRETLS"
        return line.encode() + b"\r\n"

    def _are_ascii(self, indexes: list[int]) -> bool:
        return all(self.envelope.recipients[index].isascii() for index in indexes)

    def rcpt(self, index: int) -> bytes:
        """The command for one recipient."""
        # A recipient that can't be encoded is refused before anything is sent.
        return f"RCPT TO:<{self.envelope.recipients[index]}>\r\n".encode("utf-8", "replace")

    # The outcomes

    def _undecided(self) -> list[int]:
        return [index for index, outcome in enumerate(self._outcomes) if outcome is None]

    def _settle(self, outcome: Outcome) -> None:
        self._outcomes = [known or outcome for known in self._outcomes]


def _is_positive(reply: RawReply) -> bool:
    return 200 <= reply.code < 300


def _nonsense(reply: RawReply, name: str) -> Broken:
    return Broken("protocol", f"the server's reply to {name} makes no sense: {reply.code}")
