"""The base of commands that run one part alone, for systemd and containers.

The part has its own socket, its own log lines and no supervisor: whoever started it restarts it.
SIGTERM and SIGINT end it with exit 0.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Any

from queueapp import conf
from queueapp.management.base import Command, Failed
from queueapp.workers import home, listening, logs, preflight, runfile, valkey
from queueapp.workers.process import Ready

SETTINGS = {"http": "MAILWEIR_HTTP", "smtp": "MAILWEIR_SMTP", "sandbox": "MAILWEIR_SANDBOX"}


class PartCommand(Command):
    """`name` is the part's; `listens` the attribute of Conf with its address, "" for none."""

    name = ""
    listens = ""
    needs_redis = True

    def part(self, settings: conf.Conf, sock: socket.socket | None) -> Callable[[Ready], None]:
        raise NotImplementedError

    def run(self, **options: Any) -> int | None:
        self.conf = conf.current()
        logs.configure(self.conf.log)
        try:
            home.check(self.conf.home)
            preflight.certificate(self.conf)
            self._look_for_redis()
            sock = self._bind()
            self._serve(sock)
        except (home.HomeFailed, listening.CannotListen, preflight.NotReady) as error:
            raise Failed(str(error)) from None
        return None

    def _look_for_redis(self) -> None:
        if self.needs_redis and not self.conf.redis_url and not valkey.answers(self.conf.valkey_socket):
            self.stderr.write(
                f"Nothing answers at {self.conf.valkey_socket}: wake-ups and live figures wait until it "
                "does. The embedded Valkey is started by `up`; parts on their own need REDIS_URL."
            )

    def _bind(self) -> socket.socket | None:
        if not self.listens:
            return None
        return listening.bind(SETTINGS[self.listens], getattr(self.conf, self.listens))

    def _serve(self, sock: socket.socket | None) -> None:
        try:
            self.part(self.conf, sock)(lambda: self._is_ready(sock))
        except KeyboardInterrupt:
            pass
        finally:
            if sock is not None:
                runfile.remove(self.conf)

    def _is_ready(self, sock: socket.socket | None) -> None:
        where = f"pid {os.getpid()}"
        if sock is not None:
            address = listening.address_of(sock)
            runfile.add(self.conf, **{self.listens: address})
            where = f"http://{listening.reachable(address)}" if self.listens == "http" else str(address)
        self.stdout.write(f"{self.name:<10} {where}")
        self.stdout.flush()
