"""What is broken, one a class: `begin` breaks it in the running system, `end` mends it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable

from bench.alarms.stage import Stage
from bench.causes.receivers import free_port
from bench.faults.rig import is_worker, name_of
from bench.mails import Mails
from tests.counting_sink import CountingSink
from tests.dnsserver import DnsServer, Records
from tests.system import ROOT

N_DOMAINS, N_SENDERS, N_DUE = 500, 100, 200_000
_SMALL = 600


class Trouble:
    """`subject`: a part of the mail's subject; `within`: seconds until it must be there, of which most is
    how long the rule must hold."""

    name, what, subject = "", "", ""
    databases: tuple[str, ...] = ("sqlite", "postgres")
    within = 120.0
    wants_mail = True

    def prepare(self, stage: Stage) -> dict[str, str]:
        return {}

    def rules(self) -> dict[str, dict[str, float]]:
        """What an administrator sets beside the times, by the rule's name."""
        return {}

    def begin(self, stage: Stage) -> None:
        raise NotImplementedError

    def end(self, stage: Stage) -> None:
        raise NotImplementedError


class DeadRoute(Trouble):
    name, what = "route", f"the queue's own route (a relay) is dead; mail to {N_DOMAINS} domains waits"
    subject = "domains, one cause"

    def prepare(self, stage: Stage) -> dict[str, str]:
        self.port = free_port()
        return {"MAILWEIR_ROUTE": f"smtp://127.0.0.1:{self.port}?tls=none", "MAILWEIR_RETRY_FIRST": "30s"}

    def rules(self) -> dict[str, dict[str, float]]:
        return {"Mail to a domain is stuck": {"threshold": 2}}

    def begin(self, stage: Stage) -> None:
        recipients = (f"u{n}@d{n % N_DOMAINS}.many.test" for n in range(2 * N_DOMAINS))
        stage.send(recipients, n_senders=N_SENDERS)

    def end(self, stage: Stage) -> None:
        sink = CountingSink()
        sink.port = self.port
        stage.stack.enter_context(sink)


class DeadReceivers(DeadRoute):
    """No host of any of them answers, each for itself: the names are the test's own name server's."""

    name, what = "receivers", f"the hosts of {N_DOMAINS} domains refuse connections, each of its own"

    def prepare(self, stage: Stage) -> dict[str, str]:
        self.port = free_port()
        records: Records = {}
        for number in range(N_DOMAINS):
            name = f"d{number}.many.test"
            records[name] = {"MX": [f"10 mx.{name}."]}
            records[f"mx.{name}"] = {"A": [f"127.9.{number // 200}.{number % 200 + 1}"]}
        dns = stage.stack.enter_context(DnsServer(records))
        return {
            "MAILWEIR_ROUTE": "mx",
            "MAILWEIR_DNS": dns.address,
            "MAILWEIR_MX_PORT": str(self.port),
            "MAILWEIR_MTA_STS": "off",
            "MAILWEIR_RETRY_FIRST": "30s",
        }

    def end(self, stage: Stage) -> None:
        """One server that answers at all their addresses."""
        sink = CountingSink(host="0.0.0.0")  # noqa: S104  # loopback addresses of a test
        sink.port = self.port
        stage.stack.enter_context(sink)


class FullQueue(Trouble):
    """Whatever the route is: something else goes wrong while so much is due."""

    name, what = "full", f"the database holds {N_DUE:,} due mails, the route is slow, and Valkey is stopped"
    subject = "Redis does not answer"

    def prepare(self, stage: Stage) -> dict[str, str]:
        sink = stage.stack.enter_context(CountingSink(takes=2.0))
        return {"MAILWEIR_ROUTE": f"smtp://127.0.0.1:{sink.port}?tls=none", "MAILWEIR_SITE_SESSIONS": "2"}

    def begin(self, stage: Stage) -> None:
        halves = [Mails(N_DUE // 2, N_DOMAINS, _SMALL, prefix) for prefix in ("a", "b")]
        fills = [
            subprocess.Popen(
                [sys.executable, "-m", "bench.fill", *each.arguments()], cwd=ROOT, env=stage.system.env
            )
            for each in halves
        ]
        codes = [fill.wait(900) for fill in fills]
        assert codes == [0, 0], f"the queue could not be filled: {codes}"
        stage.valkey.stop()

    def end(self, stage: Stage) -> None:
        stage.valkey.start()


class NoValkey(Trouble):
    name, what, subject = "valkey", "Valkey is stopped", "Redis does not answer"

    def begin(self, stage: Stage) -> None:
        stage.valkey.stop()

    def end(self, stage: Stage) -> None:
        stage.valkey.start()


class Killer:
    """Kills by pid whatever of the system a test names, and again whatever takes its place."""

    def __init__(self, stage: Stage, is_meant: Callable[[int], bool]) -> None:
        self._stage, self._is_meant = stage, is_meant
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.n = 0

    def start(self) -> None:
        self._thread.start()
        self._stage.stack.callback(self.stop)

    def stop(self) -> None:
        self._over.set()
        self._thread.join(10)

    def _run(self) -> None:
        while not self._over.wait(0.1):
            for pid in self._stage.system.children():
                if self._is_meant(pid):
                    try:
                        os.kill(pid, signal.SIGKILL)
                        self.n += 1
                    except ProcessLookupError:
                        pass


class NoWorkers(Trouble):
    """`up` starts them again and again: that is what is told."""

    name, what, subject = "workers", "all workers and runners are killed again and again", "does not run"

    def begin(self, stage: Stage) -> None:
        self.killer = Killer(stage, is_worker)
        self.killer.start()
        stage.send(f"u{n}@ok.example" for n in range(50))

    def end(self, stage: Stage) -> None:
        self.killer.stop()


class NoDatabase(Trouble):
    name, what, subject = "database", "the server of the database is stopped", "The database does not answer"
    databases = ("postgres",)

    def begin(self, stage: Stage) -> None:
        assert stage.postgres is not None
        stage.postgres.go_away()

    def end(self, stage: Stage) -> None:
        assert stage.postgres is not None
        stage.postgres.come_back()


class KilledWatch(Trouble):
    """Killed once while an alert is pending: the supervisor starts it again, and nothing is forgotten."""

    name = "watch-once"
    what = "Valkey is stopped, and the watch is killed before it told"
    subject = "Redis does not answer"

    def begin(self, stage: Stage) -> None:
        stage.valkey.stop()
        stage.wait_for(lambda: bool(stage.pending()), 60, "no alert is pending")
        for pid in stage.system.children():
            if is_watch(pid):
                os.kill(pid, signal.SIGKILL)

    def end(self, stage: Stage) -> None:
        stage.valkey.start()


class NoWatch(Trouble):
    """Kept dead: nobody is left to tell; the ping outside stops."""

    name = "watch-dead"
    what = "the watch is killed and kept dead, and Valkey is stopped"
    subject = "Redis does not answer"
    wants_mail = False

    def begin(self, stage: Stage) -> None:
        stage.wait_for(lambda: bool(stage.pings.times), 60, "no ping came before")
        self.killer = Killer(stage, is_watch)
        self.killer.start()
        stage.valkey.stop()

    def end(self, stage: Stage) -> None:
        self.killer.stop()
        stage.valkey.start()


def is_watch(pid: int) -> bool:
    return name_of(pid).startswith("mw-watch")


TROUBLES: dict[str, type[Trouble]] = {
    each.name: each
    for each in (
        DeadRoute,
        DeadReceivers,
        FullQueue,
        NoValkey,
        NoWorkers,
        NoDatabase,
        KilledWatch,
        NoWatch,
    )
}
