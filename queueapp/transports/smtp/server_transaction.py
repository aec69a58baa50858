"""A mail transaction of our SMTP server: MAIL, RCPT, DATA and the dot, and the state that they share.

The state ends with the reply to the dot, with RSET, EHLO and STARTTLS, and is never carried into the
next transaction. Sizes, parameters and characters are checked here; who may send what to whom is
the handler's business.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from queueapp.transports.base import Envelope
from queueapp.transports.smtp.server_data import DataReader, check_content
from queueapp.transports.smtp.server_lines import Reply, WrongLine, parse_path, printable

if TYPE_CHECKING:
    from queueapp.transports.smtp.server import Handler, ServerOptions
    from queueapp.transports.smtp.server_session import ServerSession

_OK_MAIL = b"250 2.1.0 Ok\r\n"
_OK_RCPT = b"250 2.1.5 Ok\r\n"
_GO_AHEAD = b"354 End data with <CR><LF>.<CR><LF>\r\n"


class Transaction:
    """`notes` is the handler's own, empty at each MAIL."""

    def __init__(self, handler: Handler, options: ServerOptions) -> None:
        self.handler = handler
        self.options = options
        self.helo = self.tls = ""
        self.reader: DataReader | None = None
        self._n_errors = 0
        self._forget_transaction()

    def _forget_transaction(self) -> None:
        self.sender: str | None = None
        self.recipients: list[str] = []
        self.needs_utf8 = self.is_8bit = self.requires_tls = False
        self.notes: dict[str, Any] = {}
        self._n_refused = 0

    @property
    def _session(self) -> ServerSession:
        return cast("ServerSession", self)

    @property
    def is_in_transaction(self) -> bool:
        return self.sender is not None

    def _refuse_argument(self, argument: bytes) -> None:
        if argument:
            raise WrongLine(Reply(501, "5.5.4", "This command takes no argument"))

    # -- given by the session -----------------------------------------------------------------

    @abstractmethod
    def settle(self, ask: Callable[[], Any], then: Callable[[Any], None], fault: Reply = ..., /) -> None: ...
    @abstractmethod
    def answer(self, reply: Reply) -> None: ...
    @abstractmethod
    def answer_raw(self, reply: bytes) -> None: ...
    @abstractmethod
    def close(self) -> None: ...
    @abstractmethod
    def upgrade(self, ready: bytes) -> None: ...

    # -- a transaction ------------------------------------------------------------------------

    def _mail(self, argument: bytes) -> None:
        if not self.helo:
            raise WrongLine(Reply(503, "5.5.1", "Say EHLO first"))
        if self.is_in_transaction:
            raise WrongLine(Reply(503, "5.5.1", "MAIL was given already; RSET starts anew"))
        address, params = parse_path(argument, b"FROM")
        self._take_params(params)
        self._check_utf8(address, "5.1.7")
        self.sender = address
        self.settle(partial(self.handler.on_mail, self._session, address), self._end_mail)

    def _take_params(self, params: dict[str, str]) -> None:
        self._forget_transaction()
        for name, value in params.items():
            if name == "SIZE":
                self._check_size(value)
            elif name == "BODY" and value.upper() in ("7BIT", "8BITMIME"):
                self.is_8bit = value.upper() == "8BITMIME"
            elif name == "SMTPUTF8" and not value:
                self.needs_utf8 = True
            elif name == "REQUIRETLS" and not value and self.options.offers_requiretls:
                if not self.tls:
                    raise WrongLine(Reply(530, "5.7.10", "REQUIRETLS needs TLS: say STARTTLS first"))
                self.requires_tls = True
            elif name != "AUTH" or not self.options.offers_auth:
                raise WrongLine(Reply(555, "5.5.4", f"Unsupported parameter: {printable(name, 40)}"))

    def _check_size(self, value: str) -> None:
        if not value.isdecimal() or len(value) > 20:
            raise WrongLine(Reply(501, "5.5.4", "SIZE takes a number of octets"))
        if int(value) > self.options.max_size:
            text = f"{int(value)} octets are too many, at most {self.options.max_size}"
            raise WrongLine(Reply(552, "5.3.4", text))

    def _check_utf8(self, address: str, enhanced: str) -> None:
        if address.isascii():
            return  # a line with ASCII controls was refused as a whole
        if not self.needs_utf8:
            raise WrongLine(Reply(553, "5.6.7", "A non-ASCII address needs SMTPUTF8 in MAIL FROM"))
        if any(128 <= ord(char) < 160 for char in address):
            raise WrongLine(Reply(501, enhanced, "The address has a control character in it"))

    def _end_mail(self, reply: Reply | None) -> None:
        if reply is None:
            self.answer_raw(_OK_MAIL)
            return
        if not reply.is_positive:
            self._forget_transaction()
        self.answer(reply)

    def _rcpt(self, argument: bytes) -> None:
        if not self.is_in_transaction:
            raise WrongLine(Reply(503, "5.5.1", "Say MAIL first"))
        address, params = parse_path(argument, b"TO")
        if params:
            raise WrongLine(
                Reply(555, "5.5.4", f"Unsupported parameter: {printable(next(iter(params)), 40)}")
            )
        if not address:
            raise WrongLine(Reply(501, "5.1.3", "The recipient is empty; write <user@example.org>"))
        self._check_utf8(address, "5.1.3")
        if len(self.recipients) >= self.options.max_recipients:
            self._n_refused += 1
            text = f"More than {self.options.max_recipients} recipients; send the rest in another mail"
            self.answer(Reply(452, "4.5.3", text))
            return
        self.settle(
            lambda: self.handler.on_rcpt(self._session, address), lambda reply: self._end_rcpt(address, reply)
        )

    def _end_rcpt(self, address: str, reply: Reply | None) -> None:
        if reply is None or reply.is_positive:
            self.recipients.append(address)
        else:
            self._n_refused += 1
        if reply is None:
            self.answer_raw(_OK_RCPT)
        else:
            self.answer(reply)

    def _data(self, argument: bytes) -> None:
        self._refuse_argument(argument)
        if not self.is_in_transaction:
            raise WrongLine(Reply(503, "5.5.1", "Say MAIL and RCPT first"))
        if not self.recipients and self._n_refused:
            # No fault of a pipelining client, which had to send DATA before it could know.
            self.answer(Reply(554, "5.5.1", "No valid recipients"))
            return
        if not self.recipients:
            raise WrongLine(Reply(503, "5.5.1", "Say RCPT first"))
        self.reader = DataReader(self.options.max_size)
        self.answer_raw(_GO_AHEAD)

    def end_data(self, reader: DataReader) -> None:
        """The dot has come: check the content, hand it over, answer."""
        content = reader.content()
        limits = self.options
        if reader.is_too_big:
            self._end_mail_data(Reply(552, "5.3.4", f"The mail is too big, at most {limits.max_size} octets"))
            return
        refusal = check_content(content, is_strict=limits.is_strict, max_line=limits.max_line)
        if refusal:
            self._end_mail_data(refusal)
            return
        envelope = Envelope(
            self.sender or "",
            tuple(self.recipients),
            content,
            self.needs_utf8,
            self.is_8bit,
            self.requires_tls,
        )
        self.settle(partial(self.handler.on_data, self._session, envelope), self._end_mail_data)

    def _end_mail_data(self, reply: Reply) -> None:
        self._forget_transaction()
        if reply.is_positive:
            self._n_errors = 0
        self.answer(reply)
