"""A test message by one channel, at once: what was said comes back. For page, API and command.

Not inside a transaction: it may wait for seconds. Every test leaves an audit row, refused ones too; what
the server said is no secret, logins are struck out (watch/notify/ways.py).
"""

from __future__ import annotations

from django.utils import timezone

from queueapp import conf
from queueapp.access.change import Actor, Missing, Wrong, allow, note
from queueapp.mail.address import AddressError, parse_address
from queueapp.models import Notice
from queueapp.watch.notify import targets, trial
from queueapp.watch.notify.compose import EMAIL

PING = "ping"
CHANNELS = (EMAIL, "webhook", "slack", PING)
_SETTINGS = {
    "webhook": "MAILWEIR_ALERT_WEBHOOK",
    "slack": "MAILWEIR_ALERT_SLACK",
    PING: "MAILWEIR_ALERT_PING",
}


def places() -> list[tuple[str, str]]:
    """What the settings name and can be tried: (channel, its name without secrets)."""
    current = conf.current()
    found = [(EMAIL, to) for to in current.alert_to]
    found += [(hook.channel, hook.shown) for hook in targets.hooks()]
    return [*found, (PING, targets.shown(current.alert_ping))] if current.alert_ping else found


def send(actor: Actor, channel: str = EMAIL, to: str = "") -> Notice:
    """`to`: an address, or the name of a webhook as `places` gives it; left out, the first one of the
    settings. The notice says how it went. Raises NotAllowed, Wrong, Missing."""
    allow(actor, "admin", "alert.test", f"{channel} {to}".strip()[:255])
    if channel not in CHANNELS:
        raise Wrong("channel", f"channel {channel[:40]!r} is not one of {', '.join(CHANNELS)}")
    to = to.strip() or _first(channel)
    notice = _mail(to) if channel == EMAIL else _call(channel, to)
    what = {"channel": channel, "state": notice.state, "via": notice.via, "error": notice.error}
    note(actor, "alert.test", notice.to, what)
    return notice


def _first(channel: str) -> str:
    for each, name in places():
        if each == channel:
            return name
    if channel == EMAIL:
        raise Wrong("to", "say an address: MAILWEIR_ALERT_TO names none")
    raise Missing(f"No {channel} is set: see {_SETTINGS[channel]}.")


def _mail(to: str) -> Notice:
    try:
        return trial.mail(str(parse_address(to[:320])), timezone.now())
    except AddressError as error:
        raise Wrong("to", str(error)) from None


def _call(channel: str, name: str) -> Notice:
    now = timezone.now()
    notice = trial.ping(now) if channel == PING else trial.hook(channel, name, now)
    if notice is None:
        raise Missing(f"{name[:100]!r} is no {channel} of the settings: see {_SETTINGS[channel]}.")
    return notice
