from __future__ import annotations

import socket
from collections.abc import Callable

from queueapp.conf import Conf
from queueapp.management.part_command import PartCommand
from queueapp.workers import parts
from queueapp.workers.process import Ready


class Command(PartCommand):
    help = "Runs the SMTP submission server alone, on MAILWEIR_SMTP."
    name, listens = "smtpd", "smtp"

    def part(self, settings: Conf, sock: socket.socket | None) -> Callable[[Ready], None]:
        assert sock is not None
        return parts.smtpd(settings, sock)
