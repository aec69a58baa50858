from __future__ import annotations

import socket
from collections.abc import Callable

from queueapp.conf import Conf
from queueapp.management.part_command import PartCommand
from queueapp.workers import parts
from queueapp.workers.process import Ready


class Command(PartCommand):
    help = "Runs the SMTP sandbox alone, on MAILWEIR_SANDBOX: it takes mail for tests and delivers nothing."
    name, listens = "sandbox", "sandbox"
    needs_redis = False

    def part(self, settings: Conf, sock: socket.socket | None) -> Callable[[Ready], None]:
        assert sock is not None
        return parts.sandbox(settings, sock)
