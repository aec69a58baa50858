"""The dead man's ping: an outside service is told each minute that we are well, and raises the alarm when it
hears nothing. Only while the alert loop itself goes round and reaches the database."""

from __future__ import annotations

import logging

from queueapp import conf
from queueapp.watch.alerts import look
from queueapp.watch.notify import http

EVERY = 60.0  # seconds
log = logging.getLogger(__name__)
_last: list[str] = []


def ping() -> bool:
    """Returns whether it was heard."""
    current = conf.current()
    if not current.alert_ping or not look.is_well():
        return False
    answer = http.ask("GET", current.alert_ping, allows_private=current.alert_private == "yes")
    error = "" if answer.is_fine else answer.text
    if error and _last != [error]:
        log.warning("MAILWEIR_ALERT_PING was not heard: %s", error)
    _last[:] = [error]
    return answer.is_fine
