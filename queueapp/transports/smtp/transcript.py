"""What was said in a session: kept as references, written out only for a mail that somebody will ask about.

Promises: noting a line costs one append and builds nothing, so a mail that is delivered pays next to
nothing. What is written has no content of a mail, only its length; a login is struck out when it is
noted, and a secret that a server repeats when it is written; the text is bounded (head and tail), each
line of it printable. Never: decides anything, or raises for what a server sent.

A line is `seconds who: text`: `C:` is us, `S:` the server, `**` what happened beside (RFC 5321, appendix D).
Seconds count from the beginning of the session, and anew from the beginning of the mail.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from time import monotonic
from typing import TYPE_CHECKING

from queueapp.mail.reply import clean

if TYPE_CHECKING:
    from queueapp.transports.smtp.replies import RawReply

MAX_TEXT = 8_000
MAX_LINE = 500
_TAIL = 3_000
STRUCK_OUT = "***"


class Opening:
    """How a session came about. `secrets`: what must not be read in it."""

    __slots__ = ("_began", "_lines", "_secrets")

    def __init__(self, secrets: tuple[str, ...] = ()) -> None:
        self._began = monotonic()
        self._lines: list[tuple[float, str, bytes | str]] = []
        self._secrets = secrets

    def client(self, command: bytes) -> None:
        self._lines.append((monotonic(), "C:", command))

    def server(self, reply: RawReply) -> None:
        self._lines.append((monotonic(), "S:", reply.raw))

    def note(self, text: str) -> None:
        self._lines.append((monotonic(), "**", text))

    def text(self) -> str:
        """The whole, for a session that did not come about."""
        return _bounded(self.lines())

    def lines(self) -> list[str]:
        return [line for at, who, said in self._lines for line in self.written(at - self._began, who, said)]

    def written(self, seconds: float, who: str, said: bytes | str) -> Iterator[str]:
        """One line for each that was said."""
        text = said if isinstance(said, str) else said.decode("utf-8", "replace")
        for secret in self._secrets:
            text = text.replace(secret, STRUCK_OUT)
        for line in text.split("\n"):
            yield f"{seconds:9.3f} {who} {clean(line, MAX_LINE)}{'…' if len(line) > MAX_LINE else ''}"


class Exchange:
    """One mail's turn in a session.

    `said`: (command, its reply, when), in the order of the replies; the command is b"" for the final dot
    and None for a reply that nothing asked for. `sent`: all commands that went out.
    """

    sent: Sequence[bytes] = ()
    is_pipelined = False
    n_octets = -1  # of the content, and how many of them were handed to the socket
    n_passed = 0
    trouble = ""

    def __init__(self) -> None:
        self.began = monotonic()
        self.said: list[tuple[bytes | None, RawReply, float]] = []


def written(opening: Opening, exchange: Exchange, n_before: int, recipients: list[bytes]) -> list[str]:
    """The transcript for each of these recipients, named by their RCPT commands: of the others it says only
    how many were taken and refused."""
    head = opening.lines()
    before = f", which had carried {n_before} before" if n_before else ""
    piped = ", commands pipelined" if exchange.is_pipelined else ""
    head += opening.written(0.0, "**", f"this mail begins in the session above{before}{piped}")
    return [_bounded([*head, *_turn(opening, exchange, own)]) for own in recipients]


def _turn(opening: Opening, exchange: Exchange, own: bytes) -> Iterator[str]:
    is_own_seen, others = False, [0, 0]
    for command, reply, at in exchange.said:
        seconds = at - exchange.began
        if command and command.startswith(b"RCPT TO:"):
            if command != own or is_own_seen:
                others[reply.code >= 300] += 1
                continue
            is_own_seen = True
        elif command == b"DATA\r\n" and any(others):
            yield from opening.written(seconds, "**", _of_others(*others))
            others = [0, 0]
        if command:
            yield from opening.written(seconds, "C:", command.rstrip(b"\r\n"))
        elif command is not None:
            yield from opening.written(seconds, "C:", _content(exchange))
        yield from opening.written(seconds, "S:", reply.raw)
    if any(others):
        yield from opening.written(seconds, "**", _of_others(*others))
    yield from _without_reply(opening, exchange, own)


def _without_reply(opening: Opening, exchange: Exchange, own: bytes) -> Iterator[str]:
    """What went out and was not answered any more, and why."""
    seconds = monotonic() - exchange.began
    n_answered = sum(1 for command, _, _ in exchange.said if command)
    for command in exchange.sent[n_answered:]:
        if command == own or not command.startswith(b"RCPT TO:"):
            yield from opening.written(seconds, "C:", command.rstrip(b"\r\n"))
    if exchange.n_octets >= 0 and not any(command == b"" for command, _, _ in exchange.said):
        yield from opening.written(seconds, "C:", _content(exchange))
    if exchange.trouble:
        yield from opening.written(seconds, "**", exchange.trouble)


def _content(exchange: Exchange) -> str:
    if exchange.n_octets < 0:
        return "."
    if exchange.n_passed < exchange.n_octets:
        return f"… {exchange.n_passed:,} of {exchange.n_octets:,} bytes of mail"
    return f"… {exchange.n_octets:,} bytes of mail, and the final dot"


def _of_others(n_taken: int, n_refused: int) -> str:
    refused = f", {n_refused} refused" if n_refused else ""
    return f"other recipients in the same transaction: {n_taken} accepted{refused}"


def _bounded(lines: list[str]) -> str:
    text = "\n".join(lines)
    if len(text) <= MAX_TEXT:
        return text
    head = text[: text.rfind("\n", 0, MAX_TEXT - _TAIL)]
    tail = text[text.find("\n", len(text) - _TAIL) + 1 :]
    n_left_out = len(text) - len(head) - len(tail)
    return f"{head}\n{'':9} ** {n_left_out:,} characters are left out here\n{tail}"
