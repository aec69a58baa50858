from __future__ import annotations

import socket
from collections.abc import Callable

from queueapp.conf import Conf
from queueapp.management.part_command import PartCommand
from queueapp.workers import parts
from queueapp.workers.process import Ready


class Command(PartCommand):
    help = "Runs the watch alone: looks at the queue from outside, and tells people what is wrong with it."
    name = "watch"

    def part(self, settings: Conf, sock: socket.socket | None) -> Callable[[Ready], None]:
        return parts.watch
