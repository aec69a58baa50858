"""`manage.py up`: everything that this machine runs, in one process tree that Ctrl-C ends.

The order: what can be refused is refused first (home, addresses, certificate), Valkey starts while
the database is migrated, the code is imported once, then the parts are forked and reported.
"""

from __future__ import annotations

import gc
import os
import time
from contextlib import suppress
from typing import Any

from django.core import checks
from django.core.management.base import CommandParser

from queueapp import conf
from queueapp.management.base import Command as Base
from queueapp.management.base import Failed
from queueapp.workers import database, home, listening, logs, parts, preflight, runfile, valkey
from queueapp.workers.supervisor import Part, Supervisor

READY_WITHIN = 120.0
VALKEY_WITHIN = 60.0
# So often may a part die before it was ready once; then it is a defect, and restarts only hide it.
MOST_FAILED_STARTS = 5


class Command(Base):
    help = "Starts everything that this machine runs; Ctrl-C stops it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.epilog = "Settings come from the environment: docs/settings.md."

    def run(self, **options: Any) -> int | None:
        self.conf = conf.current()
        logs.configure(self.conf.log)
        try:
            return self._up()
        except (home.HomeFailed, listening.CannotListen, valkey.ValkeyFailed, preflight.NotReady) as error:
            raise Failed(str(error)) from None
        except OSError as error:
            raise Failed(home.explain(self.conf.home, error)) from None

    def _up(self) -> int | None:
        home.check(self.conf.home)
        lock = home.Lock(self.conf.home, self.say)
        runfile.forget(self.conf)
        if not self.conf.redis_url:
            valkey.check(self.conf.valkey_socket)
        preflight.certificate(self.conf)
        sockets = self._bind()
        # Where the sandbox took a free port, the runners must know which.
        self.conf = conf.settle(sandbox=listening.reachable(listening.address_of(sockets["sandbox"])))
        supervisor = Supervisor(self.conf.home / "parts.json")
        try:
            self._start(supervisor, sockets, lock)
            if not supervisor.is_stopping:
                self._report(supervisor, sockets)
                supervisor.run()
        finally:
            self._stop(supervisor)
        lock.release()
        return None

    def _bind(self) -> dict[str, Any]:
        names = {"http": "MAILWEIR_HTTP", "smtp": "MAILWEIR_SMTP", "sandbox": "MAILWEIR_SANDBOX"}
        return {name: listening.bind(setting, getattr(self.conf, name)) for name, setting in names.items()}

    def _start(self, supervisor: Supervisor, sockets: dict[str, Any], lock: home.Lock) -> None:
        if not self.conf.redis_url:
            supervisor.start(parts.embedded_valkey(self.conf, lock.fd))
        self._prepare_database()
        preflight.redis(self.conf)
        parts.preload()
        self._await(supervisor, VALKEY_WITHIN)
        if supervisor.is_stopping:
            return
        # What is in memory now is shared with all children as long as nobody writes to it.
        gc.collect()
        gc.freeze()
        supervisor.start(*parts.all_parts(self.conf, sockets["http"], sockets["smtp"], sockets["sandbox"]))
        self._await(supervisor, READY_WITHIN)

    def _prepare_database(self) -> None:
        try:
            n = database.migrate()
            password = database.first_administrator(self.conf.admin_password)
        except database.UNREACHABLE as error:
            raise Failed(database.explain(error)) from None
        if n:
            self.say(f"{'database':<10} {n} migrations applied to {database.place()}")
        if password is not None:
            shown = "as MAILWEIR_ADMIN_PASSWORD says" if self.conf.admin_password else password
            self.say(f"{'user':<10} {database.ADMINISTRATOR}, password: {shown} (shown only this once)")

    def _await(self, supervisor: Supervisor, within: float) -> None:
        end = time.monotonic() + within
        while not supervisor.wait_ready(supervisor.parts, 0.2):
            if supervisor.is_stopping:
                return
            for part in supervisor.parts:
                if not part.has_reported and (
                    part.n_restarts >= MOST_FAILED_STARTS or time.monotonic() > end
                ):
                    raise Failed(self._why(part))

    def _why(self, part: Part) -> str:
        how = (
            f"it ended {part.n_restarts} times, at last with {part.last_exit}"
            if part.last_exit
            else "it hangs"
        )
        told = "the lines above tell why"
        if part.name == "valkey":
            words = valkey.last_words(self.conf.home, 300).strip()
            told = f"{valkey.log_file(self.conf.home)} ends with: {words}"
        return f"{part.name} does not start: {how}; {told}"

    def _report(self, supervisor: Supervisor, sockets: dict[str, Any]) -> None:
        runfile.write(self.conf, **{name: listening.address_of(sock) for name, sock in sockets.items()})
        for part in supervisor.parts:
            self.say(f"{part.name:<10} {part.address or 'pid ' + str(part.pid)}")
        self._warn()
        self.say(f"ready      after {_age():.1f} s, pid {os.getpid()}; Ctrl-C stops all")

    def _warn(self) -> None:
        for message in checks.run_checks(tags=["mailweir"]):
            self.stderr.write(f"{message.id}: {message.msg} {message.hint or ''}")

    def _stop(self, supervisor: Supervisor) -> None:
        runfile.remove(self.conf)
        self.say("stopping")
        supervisor.stop()
        self.say("stopped")

    def say(self, text: str) -> None:
        """The terminal may be gone; that is no reason to leave the parts alone."""
        with suppress(OSError, ValueError):
            self.stdout.write(text)
            self.stdout.flush()


def _age() -> float:
    """Seconds since this process was started, Python's own start included."""
    with suppress(OSError, ValueError, IndexError), open("/proc/self/stat") as file:
        started = int(file.read().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
        return time.clock_gettime(time.CLOCK_BOOTTIME) - started
    return time.process_time()
