"""A supervisor with small parts, as a program: `python -m tests.workers.tree HOME PART …`.

Parts write their pid to HOME/<name>.pid at each start and what they live through to HOME/events.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from queueapp.conf import Address
from queueapp.workers import listening, logs
from queueapp.workers.process import Ready
from queueapp.workers.supervisor import Part, Supervisor


class Toy:
    def __init__(self, home: Path, name: str) -> None:
        self.home, self.name = home, name

    def note(self, text: str) -> None:
        with open(self.home / "events", "a") as file:
            file.write(f"{self.name} {text}\n")

    def begin(self) -> None:
        self.note("start")
        (self.home / f"{self.name}.pid").write_text(str(os.getpid()))

    def steady(self, ready: Ready) -> None:
        """Ends on SIGTERM, and says so."""
        self.begin()
        is_over = []
        signal.signal(signal.SIGTERM, lambda number, frame: is_over.append(1))
        ready()
        while not is_over:
            signal.pause() if not is_over else None
        self.note("end")

    def dying(self, ready: Ready) -> None:
        """Ends with an error as soon as it runs."""
        self.begin()
        raise SystemExit(3)

    def stubborn(self, ready: Ready) -> None:
        """Takes no notice of SIGTERM."""
        self.begin()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        ready()
        while True:
            time.sleep(60)

    def leaving(self, ready: Ready) -> None:
        """Has a child in a group of its own that takes no notice of SIGTERM, and leaves it behind."""
        self.begin()
        pid = os.fork()
        if pid == 0:
            os.setpgrp()
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            (self.home / "left.pid").write_text(str(os.getpid()))
            while True:
                time.sleep(60)
        ready()
        signal.pause()


class Echo(Toy):
    """Answers each connection with its pid."""

    def __init__(self, home: Path, name: str) -> None:
        super().__init__(home, name)
        self.socket = listening.bind("TOY", Address("127.0.0.1", 0))

    def run(self, ready: Ready) -> None:
        self.begin()
        ready()
        while True:
            client, _ = self.socket.accept()
            client.sendall(str(os.getpid()).encode())
            client.close()


def main() -> None:
    home, names = Path(sys.argv[1]), sys.argv[2:]
    logs.configure()
    supervisor = Supervisor(home / "parts.json")
    for text in names:
        kind, _, stage = text.partition(":")
        if kind == "echo":
            echo = Echo(home, kind)
            part = Part(kind, echo.run, 0, str(listening.address_of(echo.socket)), echo.socket)
        else:
            part = Part(kind, getattr(Toy(home, text.replace(":", "-")), kind), int(stage or 0))
        part.name = text.replace(":", "-")
        supervisor.start(part)
    if supervisor.wait_ready([part for part in supervisor.parts if part.name != "dying"], 30):
        (home / "ready").touch()
        supervisor.run()
    supervisor.stop()
    (home / "stopped").touch()


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dashboard.settings")
    main()
