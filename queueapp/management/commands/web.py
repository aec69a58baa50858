from __future__ import annotations

import signal
import socket
from collections.abc import Callable

from queueapp.conf import Conf
from queueapp.management.part_command import PartCommand
from queueapp.workers import parts
from queueapp.workers.process import Ready


class Command(PartCommand):
    help = "Runs the dashboard and the API alone, on MAILWEIR_HTTP."
    name, listens = "web", "http"

    def part(self, settings: Conf, sock: socket.socket | None) -> Callable[[Ready], None]:
        assert sock is not None
        # uvicorn raises the signal that ended it once more; the second one must not be our death.
        signal.signal(signal.SIGTERM, lambda number, frame: None)
        return parts.web(sock)
