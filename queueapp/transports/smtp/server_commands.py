"""The commands of our SMTP server: what each verb does to the state of a conversation.

RFC 5321 with PIPELINING, SIZE, 8BITMIME, SMTPUTF8, ENHANCEDSTATUSCODES, STARTTLS and AUTH. Each
command gives exactly one reply, except the last one of a session that is hung up on. Errors of the
client in syntax or sequence are counted: too many end the session. STARTTLS forgets all that was
said before it (RFC 3207 section 4.2). A browser that was tricked into speaking to us (an HTTP
request line) is hung up on at once, before its body can be taken for commands.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from queueapp.transports.smtp.server_auth import MECHANISMS, Exchange, challenge_line
from queueapp.transports.smtp.server_lines import (
    MAX_LINE,
    Reply,
    WrongLine,
    decode_base64,
    encode_lines,
    line_limit,
    printable,
)
from queueapp.transports.smtp.server_transaction import Transaction

if TYPE_CHECKING:
    from queueapp.transports.smtp.server import Handler, ServerOptions

_OK = b"250 2.0.0 Ok\r\n"
_BYE = b"221 2.0.0 Bye\r\n"
_UNFIT = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")  # a tab is white space
_HTTP = frozenset((b"GET", b"POST", b"PUT", b"HEAD", b"OPTIONS", b"DELETE", b"CONNECT", b"PATCH"))
_AUTH_FAULT = Reply(454, "4.7.0", "Logins can't be checked now, try again later")


class Commands(Transaction):
    """The state of one conversation."""

    def __init__(self, handler: Handler, options: ServerOptions) -> None:
        super().__init__(handler, options)
        self.is_lost = self.is_closing = False
        self.is_local = False
        self._auth: Exchange | None = None
        self.forget_all()

    def forget_all(self) -> None:
        self.helo = self.login = ""
        self.is_esmtp = False
        self._auth = None
        self._forget_transaction()

    # -- one line -----------------------------------------------------------------------------

    def greet(self, reply: Reply | None) -> None:
        if reply is None or reply.is_positive:
            text = reply.text if reply else self.options.banner
            self.answer_raw(encode_lines(220, f"{self.options.hostname} {text}"))
            return
        self.answer(reply)
        self.close()

    def run_line(self, line: bytes) -> None:
        """Run one line with its line end, and answer it."""
        has_crlf = line.endswith(b"\r\n")
        text = line[:-2] if has_crlf else line[:-1]
        try:
            if not has_crlf and self.options.is_strict:
                raise WrongLine(Reply(500, "5.5.2", "Commands must end with CR LF, not with a bare LF"))
            if self._auth is not None:
                self._continue_auth(text, len(line))
            else:
                self._run_command(text, len(line))
        except WrongLine as error:
            self.cancel_auth()
            self.fault(error.reply)

    def _run_command(self, text: bytes, size: int) -> None:
        verb, _, argument = text.partition(b" ")
        verb = verb.upper()
        if size > MAX_LINE and size > line_limit(verb):
            raise WrongLine(Reply(500, "5.5.2", f"Line too long, at most {line_limit(verb)} octets"))
        if _UNFIT.search(text):
            raise WrongLine(Reply(501, "5.5.2", "The command has a control character in it"))
        command = _COMMANDS.get(verb)
        if command:
            command(self, argument.strip(b" \t"))
        elif verb in _HTTP:
            self.answer(Reply(421, "4.7.0", "This is an SMTP server, not a web server"))
        else:
            self.fault(
                Reply(500, "5.5.1", f"Unknown command {printable(verb.decode('ascii', 'replace'), 20)}")
            )

    def fault(self, reply: Reply) -> None:
        """Refuse what the client should not have said."""
        self._n_errors += 1
        if self._n_errors >= self.options.max_errors:
            reply = Reply(421, "4.7.0", f"Too many errors, closing; the last one: {reply.code} {reply.text}")
        self.answer(reply)

    # -- greeting and small commands ----------------------------------------------------------

    def _helo(self, argument: bytes) -> None:
        self._introduce(argument, is_esmtp=False)
        self.answer_raw(encode_lines(250, self.options.hostname))

    def _ehlo(self, argument: bytes) -> None:
        self._introduce(argument, is_esmtp=True)
        lines = [self.options.hostname, "PIPELINING", f"SIZE {self.options.max_size}", "8BITMIME"]
        lines += ["SMTPUTF8", "ENHANCEDSTATUSCODES"]
        if self.options.tls and not self.tls:
            lines.append("STARTTLS")
        if self.options.offers_requiretls and self.tls:
            lines.append("REQUIRETLS")
        if self._may_auth:
            lines.append("AUTH " + " ".join(MECHANISMS))
        self.answer_raw(encode_lines(250, *lines))

    def _introduce(self, argument: bytes, *, is_esmtp: bool) -> None:
        name = argument.decode("utf-8", "replace")
        if not name or len(name) > 255 or not name.isprintable() or " " in name:
            raise WrongLine(Reply(501, "5.5.4", "Say who you are: EHLO host.example.org"))
        self._forget_transaction()
        self.helo, self.is_esmtp = name, is_esmtp

    def _rset(self, argument: bytes) -> None:
        self._refuse_argument(argument)
        self._forget_transaction()
        self.answer_raw(_OK)

    def _noop(self, argument: bytes) -> None:
        self.answer_raw(_OK)

    def _vrfy(self, argument: bytes) -> None:
        self.answer(Reply(252, "2.5.2", "Addresses are not verified; send the mail"))

    def _expn(self, argument: bytes) -> None:
        self.fault(Reply(502, "5.5.1", "EXPN is not offered"))

    def _help(self, argument: bytes) -> None:
        verbs = " ".join(verb.decode() for verb in _COMMANDS if verb != b"EXPN")
        self.answer_raw(encode_lines(214, f"2.0.0 {verbs}"))

    def _quit(self, argument: bytes) -> None:
        self._refuse_argument(argument)
        self.answer_raw(_BYE)
        self.close()

    # -- STARTTLS and AUTH --------------------------------------------------------------------

    def _starttls(self, argument: bytes) -> None:
        self._refuse_argument(argument)
        if not self.options.tls:
            raise WrongLine(Reply(502, "5.5.1", "STARTTLS is not offered: the server has no certificate"))
        if self.tls:
            raise WrongLine(Reply(503, "5.5.1", "TLS is already in use"))
        self.upgrade(b"220 2.0.0 Ready to start TLS\r\n")

    @property
    def _may_auth(self) -> bool:
        limits = self.options
        is_safe = bool(self.tls) or (limits.auth_on_loopback and self.is_local)
        return limits.offers_auth and (is_safe or limits.auth_without_tls)

    def _begin_auth(self, argument: bytes) -> None:
        if not self.options.offers_auth:
            raise WrongLine(Reply(503, "5.5.1", "AUTH is not offered"))
        if not self._may_auth:
            raise WrongLine(Reply(538, "5.7.11", "A login needs TLS: say STARTTLS first"))
        if not self.is_esmtp or self.login or self.is_in_transaction:
            raise WrongLine(Reply(503, "5.5.1", "AUTH comes once, after EHLO and before MAIL"))
        name, _, initial = argument.partition(b" ")
        mechanism = MECHANISMS.get(name.decode("ascii", "replace").upper())
        if not mechanism:
            raise WrongLine(Reply(504, "5.5.4", "Unknown mechanism; there are: " + " ".join(MECHANISMS)))
        self._auth = mechanism(decode_base64(initial.strip()) if initial.strip() else None)
        self._step_auth(None)

    def _continue_auth(self, text: bytes, size: int) -> None:
        if size > line_limit(b"AUTH"):
            raise WrongLine(Reply(500, "5.5.6", "The answer is too long"))
        self._step_auth(decode_base64(text))

    def _step_auth(self, answer: bytes | None) -> None:
        exchange = self._auth
        assert exchange is not None
        try:
            challenge = next(exchange) if answer is None else exchange.send(answer)
        except StopIteration as end:
            self._auth = None
            user, password = end.value
            self.settle(
                lambda: self.handler.on_auth(self._session, user, password), self._end_auth, _AUTH_FAULT
            )
        else:
            self.answer_raw(challenge_line(challenge))

    def _end_auth(self, result: Reply | str | None) -> None:
        if isinstance(result, Reply):
            self.answer(result)
        elif result:
            self.login = result
            self.answer(Reply(235, "2.7.0", "Authentication successful"))
        else:
            self.fault(Reply(535, "5.7.8", "Wrong user or password"))

    def cancel_auth(self) -> None:
        self._auth = None


_COMMANDS: dict[bytes, Callable[[Any, bytes], None]] = {
    b"EHLO": Commands._ehlo,
    b"HELO": Commands._helo,
    b"MAIL": Commands._mail,
    b"RCPT": Commands._rcpt,
    b"DATA": Commands._data,
    b"RSET": Commands._rset,
    b"NOOP": Commands._noop,
    b"VRFY": Commands._vrfy,
    b"EXPN": Commands._expn,
    b"HELP": Commands._help,
    b"QUIT": Commands._quit,
    b"STARTTLS": Commands._starttls,
    b"AUTH": Commands._begin_auth,
}
