"""A second SMTP server, where alert mail arrives: aiosmtpd, which knows nothing of our code, keeps each mail.

with Mailbox() as box:
    conf.override(alert_smtp=box.ways, alert_to=("oncall@example.com",))
    box.subjects, box.mails
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from queueapp.conf import RouteSpec


class Mailbox:
    """`refuse`: the reply to RCPT in place of 250. `password`: log in with it, as anybody."""

    def __init__(self, refuse: str = "", password: str = "") -> None:
        self.refuse, self.password = refuse, password
        self.mails: list[EmailMessage] = []
        self.envelopes: list[Any] = []

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, _: Any) -> str:
        if self.refuse:
            return self.refuse
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.envelopes.append(envelope)
        self.mails.append(message_from_bytes(envelope.content, policy=default))  # type: ignore[arg-type]
        return "250 taken"

    def __enter__(self) -> Mailbox:
        login: Callable[..., AuthResult] = lambda *args: AuthResult(  # noqa: E731
            success=args[4].password.decode() == self.password
        )
        more: dict[str, Any] = {"authenticator": login, "auth_require_tls": False} if self.password else {}
        self._controller = Controller(self, hostname="127.0.0.1", port=0, **more)
        # Its own trial connection goes to the port that was asked for, which is none.
        self._controller._trigger_server = self._trigger  # type: ignore[method-assign]
        self._controller.start()
        return self

    def _trigger(self) -> None:
        server: Any = self._controller.server
        self.port: int = server.sockets[0].getsockname()[1]
        with socket.create_connection(("127.0.0.1", self.port), 10) as connection:
            connection.recv(512)

    def __exit__(self, *_: object) -> None:
        self._controller.stop()

    @property
    def ways(self) -> tuple[RouteSpec, ...]:
        return (RouteSpec("relay", "127.0.0.1", self.port, tls="none"),)

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}?tls=none"

    @property
    def subjects(self) -> list[str]:
        return [str(mail["Subject"]) for mail in self.mails]
