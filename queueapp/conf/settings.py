"""All settings in one: its themes, and what follows from them."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from pathlib import Path

from queueapp.conf.alerting import Alerting
from queueapp.conf.blocklists import Blocklists
from queueapp.conf.home import Home
from queueapp.conf.intake import Intake
from queueapp.conf.listening import Listening
from queueapp.conf.people import People
from queueapp.conf.retries import Retries
from queueapp.conf.way_out import WayOut

SANDBOX_CERTIFICATE = "sandbox-cert.pem"
"""In the home: made by the sandbox, trusted by us for the sandbox alone."""


@dataclass(frozen=True)
class Conf(Alerting, People, Retries, Blocklists, WayOut, Intake, Listening, Home):
    """The settings in force. Attributes are the names without `MAILWEIR_`, in lower case."""

    @property
    def host(self) -> str:
        """The name that this machine gives itself in EHLO, Received and reports."""
        return self.hostname or _machine_name()

    @property
    def run_file(self) -> Path:
        return self.home / "run.json"

    @property
    def valkey_socket(self) -> Path:
        return self.home / "valkey.sock"

    @property
    def redis(self) -> str:
        """The URL in force: the setting, or the embedded Valkey's socket."""
        return self.redis_url or f"unix://{self.valkey_socket}"

    @property
    def sandbox_certificate(self) -> Path:
        return self.home / SANDBOX_CERTIFICATE

    @property
    def journal(self) -> Path:
        return self.home / "journal"


def _machine_name() -> str:
    name = socket.gethostname().strip(".").lower()
    return name if re.fullmatch(r"[a-z0-9.\-]{1,253}", name) else "localhost"
