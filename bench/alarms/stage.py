"""A running system with a second SMTP server for its alerts, and what an administrator does in it.

Rules are the shipped ones; their times are set by the API: what must hold, and must be clear, for HOLDS
seconds. Valkey, and PostgreSQL where it is asked for, are of the stage's own, so that they can be stopped.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

from bench.alarms.letters import Letterbox, Pings
from bench.causes import scenario
from tests.postgres import PostgresServer
from tests.system import System
from tests.valkey import ValkeyServer

HOLDS = 10
TO = "oncall@example.com"
BASE = {
    "MAILWEIR_WORKERS": "2",
    "MAILWEIR_ALERT_TO": TO,
    "MAILWEIR_ALERT_PRIVATE": "yes",
    "MAILWEIR_HOSTNAME": "ours.alarms.test",
}


class Stage(scenario.Stage):
    """Made by `opened`."""

    box: Letterbox
    pings: Pings
    valkey: ValkeyServer
    postgres: PostgresServer | None

    def count(self, q: str) -> int:
        found = self.ask(f"/api/v1/deliveries?limit=1&q={q.replace(' ', '%20')}")
        return int(found["count"])

    def exactly(self, q: str) -> int:
        """The same where it may be above 10,000, from where on the API tells what is at least there."""
        found = f"Delivery.objects.matching({q!r}, timezone.now()).count()"
        return int(self.shell(f"from django.utils import timezone\nprint({found})"))

    def pending(self) -> list[str]:
        """Alerts that wait for their time; the pages do not list them, the database does."""
        return self.shell(
            "print(*Alert.objects.filter(state='pending').values_list('pk', flat=True))"
        ).split()

    def shell(self, code: str) -> str:
        """What the code prints that knows all models."""
        code = f"from queueapp.models import *\n{code}"
        return self.system.manage("shell", "-v", "0", "-c", code).stdout.strip()

    def shorten(self, more: dict[str, dict[str, float]]) -> None:
        """All rules hold and are clear after HOLDS seconds; `more` by the rule's name."""
        for rule in self.ask("/api/v1/alert-rules"):
            times = {name: min(float(HOLDS), rule[name]) for name in ("holds_for", "clear_for")}
            self.ask(f"/api/v1/alert-rules/{rule['id']}", {**times, **more.get(rule["name"], {})}, "PATCH")

    @staticmethod
    def wait_for(is_so: Callable[[], bool], within: float, otherwise: str) -> float:
        """Seconds that it took. Raises TimeoutError."""
        began = time.monotonic()
        while not is_so():
            if time.monotonic() - began > within:
                raise TimeoutError(f"{otherwise} within {within:.0f} s")
            time.sleep(0.2)
        return time.monotonic() - began


@contextlib.contextmanager
def opened(folder: Path, database: str, settings: Callable[[Stage], dict[str, str]]):  # type: ignore[no-untyped-def]
    """The stage, its system started and an administrator's key made."""
    with contextlib.ExitStack() as stack:
        postgres = stack.enter_context(PostgresServer(durable=True)) if database == "postgres" else None
        home = folder / "h"
        home.mkdir(mode=0o700)
        stage = Stage.__new__(Stage)
        stage.stack, stage.folder, stage.key, stage.postgres = stack, folder, "", postgres
        stage.box, stage.pings = stack.enter_context(Letterbox()), stack.enter_context(Pings())
        stage.valkey = stack.enter_context(ValkeyServer(folder / "v.sock"))
        more = {
            **BASE,
            "REDIS_URL": stage.valkey.url,
            "MAILWEIR_ALERT_SMTP": stage.box.url,
            "MAILWEIR_ALERT_PING": stage.pings.url,
            **settings(stage),
        }
        url = postgres.create_database() if postgres else ""
        stage.system = System(home=home, database_url=url, settings=more)
        stack.callback(stage.system.close)
        stage.system.start()
        made = stage.system.manage("apikey", "create", "alarms", "--scope", "submit,read,operate,admin")
        stage.key = made.stdout.strip().splitlines()[-1].split()[-1]
        yield stage
