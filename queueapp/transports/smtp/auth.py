"""Logging in at a relay: AUTH PLAIN, else LOGIN (RFC 4954).

Promises: the credentials stand in no text, outcome or exception, even when a server repeats them;
a refused login never bounces mail, since it is a fault of our configuration. Never sends a password
to a server that offers neither mechanism.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace
from typing import TYPE_CHECKING

from queueapp.transports.base import Options, Outcome, deferred
from queueapp.transports.smtp.transcript import STRUCK_OUT

if TYPE_CHECKING:
    from queueapp.transports.smtp.features import Features
    from queueapp.transports.smtp.outcomes import Place
    from queueapp.transports.smtp.replies import RawReply
    from queueapp.transports.smtp.transcript import Opening
    from queueapp.transports.smtp.wire import Wire


async def login(
    wire: Wire, features: Features, options: Options, place: Place, said: Opening
) -> Outcome | None:
    """Log in; None when it worked, else what went wrong."""
    commands = _commands(features, options)
    if not commands:
        offered = ", ".join(sorted(features.auth)) or "no AUTH at all"
        text = f"the server offers neither AUTH PLAIN nor AUTH LOGIN, but {offered}"
        return place.stamp(deferred("authentication", text, "auth"))
    for number, command in enumerate(commands, 1):
        wire.write(command + b"\r\n", n_replies=1)
        said.client(_struck_out(command))
        reply = await wire.reply(options.timeouts.greeting, "AUTH")
        said.server(reply._replace(raw=_without(reply.raw, _secrets(options))))
        if reply.code != (235 if number == len(commands) else 334):
            return _refused(reply, options, place)
    return None


def _commands(features: Features, options: Options) -> list[bytes]:
    user, password = options.username.encode(), options.password.encode()
    if "PLAIN" in features.auth:
        return [b"AUTH PLAIN " + b64encode(b"\0" + user + b"\0" + password)]
    if "LOGIN" in features.auth:
        return [b"AUTH LOGIN", b64encode(user), b64encode(password)]
    return []


def _refused(reply: RawReply, options: Options, place: Place) -> Outcome:
    outcome = place.of_reply(reply, "auth")
    text = outcome.text
    for secret in _secrets(options):
        text = text.replace(secret, STRUCK_OUT)
    return replace(outcome, result="deferred", reply_class="authentication", text=text)


def _struck_out(command: bytes) -> bytes:
    """Only the mechanism may be read."""
    mechanism, separator, _ = command.removeprefix(b"AUTH ").partition(b" ")
    struck_out = STRUCK_OUT.encode()
    if not command.startswith(b"AUTH "):
        return struck_out
    return b"AUTH " + mechanism + (separator + struck_out if separator else b"")


def _without(raw: bytes, secrets: list[str]) -> bytes:
    for secret in secrets:
        raw = raw.replace(secret.encode(), STRUCK_OUT.encode())
    return raw


def secrets_of(options: Options) -> tuple[str, ...]:
    """What must not be read in anything of the session; a bare user name may be, outside the login."""
    if not options.username:
        return ()
    user, password = options.username.encode(), options.password.encode()
    encoded = [b64encode(part).decode() for part in (b"\0" + user + b"\0" + password, user, password)]
    return tuple(secret for secret in (*encoded, options.password) if secret)


def _secrets(options: Options) -> list[str]:
    return [*secrets_of(options), options.username]
