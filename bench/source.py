"""The load of a benchmark that submits while the system delivers: Postfix's `smtp-source`, in C.

A few of them share the clients, each with a recipient domain of its own, since one takes only one
recipient. As it does by default, each mail comes on a connection of its own, which is what applications do;
`reconnect=False` keeps the connections.
"""

from __future__ import annotations

import contextlib
import subprocess
import time

from bench.mails import SENDER
from bench.systems.base import Failed
from tests import programs
from tests.processes import die_with_parent

N_DOMAINS = 5
_SIZE = 5120


class Source:
    """`with Source(address, 1000, 10) as source: source.start(); source.wait(); source.seconds`."""

    def __init__(self, address: tuple[str, int], n: int, clients: int, *, reconnect: bool = True) -> None:
        self.address, self.clients, self.reconnect = address, clients, reconnect
        self.each = max(1, n // N_DOMAINS)
        self.n = self.each * N_DOMAINS
        self.seconds = 0.0
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            process.wait()

    def start(self) -> None:
        program = programs.find("smtp-source")
        if program is None:
            raise Failed(programs.why_missing("smtp-source"))
        self._began = time.monotonic()
        host, port = self.address
        for number in range(N_DOMAINS):
            self._processes.append(
                subprocess.Popen(
                    [
                        *(program, "-s", str(max(1, self.clients // N_DOMAINS))),
                        *("-m", str(self.each), "-l", str(_SIZE), "-f", SENDER),
                        *([] if self.reconnect else ["-d"]),
                        *("-t", f"user@d{number}.bench.test", f"inet:{host}:{port}"),
                    ],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    start_new_session=True,
                    preexec_fn=die_with_parent,
                )
            )

    def wait(self, timeout: float = 600) -> None:
        """Until all mails are accepted. Raises Failed with what the server said."""
        for process in self._processes:
            try:
                _, err = process.communicate(timeout=timeout)
            except subprocess.TimeoutExpired:
                raise Failed(f"the clients did not get rid of their mails in {timeout:.0f} s") from None
            if process.returncode:
                raise Failed("smtp-source: " + err.decode(errors="replace").strip()[-500:])
        self.seconds = time.monotonic() - self._began
