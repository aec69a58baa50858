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

if TYPE_CHECKING:
    from queueapp.transports.smtp.features import Features
    from queueapp.transports.smtp.outcomes import Place
    from queueapp.transports.smtp.replies import RawReply
    from queueapp.transports.smtp.wire import Wire


async def login(wire: Wire, features: Features, options: Options, place: Place) -> Outcome | None:
    """Log in; None when it worked, else what went wrong."""
    commands = _commands(features, options)
    if not commands:
        offered = ", ".join(sorted(features.auth)) or "no AUTH at all"
        text = f"the server offers neither AUTH PLAIN nor AUTH LOGIN, but {offered}"
        return place.stamp(deferred("authentication", text, "auth"))
    for number, command in enumerate(commands, 1):
        wire.write(command + b"\r\n", n_replies=1)
        reply = await wire.reply(options.timeouts.greeting, "AUTH")
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
        text = text.replace(secret, "***")
    return replace(outcome, result="deferred", reply_class="authentication", text=text)


def _secrets(options: Options) -> list[str]:
    user, password = options.username.encode(), options.password.encode()
    encoded = [b64encode(part).decode() for part in (b"\0" + user + b"\0" + password, user, password)]
    return [secret for secret in (*encoded, options.password, options.username) if secret]
