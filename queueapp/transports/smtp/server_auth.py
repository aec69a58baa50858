"""The exchanges of AUTH: generators that yield challenges and are sent the client's answers.

Each returns user and password, or raises `WrongLine`. They hold no state beyond one exchange and
decide nothing: whether the password is right is the handler's business.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Generator

from queueapp.transports.smtp.server_lines import Reply, WrongLine, decode_credential, decode_plain

Exchange = Generator[bytes, bytes, tuple[str, str]]


def _plain(initial: bytes | None) -> Exchange:
    return decode_plain((yield b"") if initial is None else initial)


def _login(initial: bytes | None) -> Exchange:
    user = (yield b"Username:") if initial is None else initial
    password = yield b"Password:"
    if not user:
        raise WrongLine(Reply(501, "5.5.2", "The user name is empty"))
    return decode_credential(user), decode_credential(password)


MECHANISMS: dict[str, Callable[[bytes | None], Exchange]] = {"PLAIN": _plain, "LOGIN": _login}


def challenge_line(challenge: bytes) -> bytes:
    return b"334 " + base64.b64encode(challenge) + b"\r\n"
