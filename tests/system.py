"""A whole Mailweir as its users start it: a real `manage.py up` in a home of its own, on free ports.

    with System() as system:
        smtplib.SMTP(*system.smtp_address) …
        system.manage("queue", "count", "--json").stdout

`stop()` checks what is promised of SIGTERM: exit 0 within 10 s and no process left behind. Leaving
the `with` block kills what is still there, and a failed start shows the end of the log.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.prepared import SQLITE, copy_into
from tests.processes import descendants, die_with_parent, with_environment

ROOT = Path(__file__).resolve().parent.parent
ADMIN_PASSWORD = "correct-horse-battery"
START_WITHIN = 60.0
STOP_WITHIN = 10.0

# Settings of whoever runs the tests must not leak into the system under test.
_OURS = ("MAILWEIR_", "DATABASE_URL", "REDIS_URL", "DJANGO_", "PYTEST_")


class SystemFailed(AssertionError):
    """The system did not start or stop as promised; holds the end of its log."""


class System:
    """One running Mailweir. `database_url` "" is SQLite in its home; `settings` are more variables.

    The SQLite database is there and migrated before the first start, unless the system `is_new`.
    """

    command = (sys.executable, "manage.py", "up")

    def __init__(
        self,
        *,
        database_url: str = "",
        home: Path | None = None,
        settings: dict[str, str] | None = None,
        is_new: bool = False,
    ) -> None:
        self.home = home or Path(tempfile.mkdtemp(prefix="mw-"))  # short: it holds a unix socket
        self._owns_home = home is None
        self.is_new = is_new
        self.env = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
        self.env |= {
            "MAILWEIR_HOME": str(self.home),
            "MAILWEIR_HTTP": "127.0.0.1:0",
            "MAILWEIR_SMTP": "127.0.0.1:0",
            "MAILWEIR_SANDBOX": "127.0.0.1:0",
            "MAILWEIR_ADMIN_PASSWORD": ADMIN_PASSWORD,
            "PYTHONUNBUFFERED": "1",
            **({"DATABASE_URL": database_url} if database_url else {}),
            **(settings or {}),
        }
        self.process: subprocess.Popen[bytes] | None = None
        self.ready_after = 0.0  # seconds from start to ready

    def __enter__(self) -> System:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_: object) -> None:
        self.close()

    # ── What tests ask ────────────────────────────────────────────────────────────────────────

    @property
    def run(self) -> dict[str, Any]:
        """What run.json says now; empty where there is none."""
        with contextlib.suppress(OSError, ValueError):
            return dict(json.loads((self.home / "run.json").read_text()))
        return {}

    @property
    def http(self) -> str:
        """The dashboard's address, `http://host:port`."""
        return str(self.run["http"]).rstrip("/")

    @property
    def smtp(self) -> str:
        return str(self.run["smtp"])

    @property
    def sandbox(self) -> str:
        return str(self.run["sandbox"])

    @property
    def smtp_address(self) -> tuple[str, int]:
        return _host_and_port(self.smtp)

    @property
    def sandbox_address(self) -> tuple[str, int]:
        return _host_and_port(self.sandbox)

    @property
    def pid(self) -> int:
        assert self.process is not None, "the system was not started"
        return self.process.pid

    @property
    def log_file(self) -> Path:
        return self.home / "up.log"

    def log(self, tail: int = 20_000) -> str:
        """The end of what `up` and its parts printed."""
        with contextlib.suppress(OSError):
            return self.log_file.read_bytes()[-tail:].decode(errors="replace")
        return ""

    def children(self) -> set[int]:
        """All live processes of this system but `up` itself, orphans too."""
        found = with_environment("MAILWEIR_HOME", str(self.home))
        if self.process is not None:
            found |= descendants(self.pid)
            found.discard(self.pid)
        return found

    def manage(
        self, *arguments: str, stdin: str | bytes = b"", timeout: float = 60, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run another `manage.py` command in this home."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.env,
            input=stdin.encode() if isinstance(stdin, str) else stdin,
            capture_output=True,
            timeout=timeout,
            check=False,
        )
        result = subprocess.CompletedProcess(
            done.args, done.returncode, done.stdout.decode(), done.stderr.decode(errors="replace")
        )
        if check and done.returncode:
            what = f"manage.py {' '.join(arguments)} ended with {done.returncode}"
            raise SystemFailed(f"{what}\n{result.stdout}{result.stderr}")
        return result

    # ── Start and stop ────────────────────────────────────────────────────────────────────────

    def start(self, within: float = START_WITHIN) -> System:
        assert self.process is None, "the system runs already"
        (self.home / "run.json").unlink(missing_ok=True)
        if not self.is_new and "DATABASE_URL" not in self.env and not (self.home / SQLITE).exists():
            copy_into(self.home)
        began = time.monotonic()
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=ROOT,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        while not self.run.get("ready"):
            if self.process.poll() is not None:
                raise SystemFailed(
                    f"`up` ended with {self.process.returncode} before it was ready\n{self.log()}"
                )
            if time.monotonic() - began > within:
                raise SystemFailed(f"`up` was not ready after {within:.0f} s\n{self.log()}")
            time.sleep(0.02)
        self.ready_after = time.monotonic() - began
        return self

    def stop(self, sign: int = signal.SIGTERM, within: float = STOP_WITHIN) -> float:
        """End it in order; returns the seconds it took. Fails unless exit is 0 and nothing is left."""
        assert self.process is not None, "the system was not started"
        began = time.monotonic()
        self.process.send_signal(sign)
        try:
            code = self.process.wait(within)
        except subprocess.TimeoutExpired:
            raise SystemFailed(f"`up` still ran {within:.0f} s after signal {sign}\n{self.log()}") from None
        took = time.monotonic() - began
        left = {pid: _command(pid) for pid in self.children()}
        self.process = None
        if code != 0:
            raise SystemFailed(f"`up` ended with {code} after signal {sign}\n{self.log()}")
        if left:
            raise SystemFailed(f"`up` left processes behind: {left}\n{self.log()}")
        return took

    def kill(self) -> None:
        """`kill -9` to everything at once, as a power cut would. The home stays, for another start."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
        for _ in range(50):  # a dying parent may have forked meanwhile
            left = self.children()
            if not left:
                return
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)

    def close(self) -> None:
        """Leave nothing behind, whatever state it is in."""
        self.kill()
        if self._owns_home:
            shutil.rmtree(self.home, ignore_errors=True)


def _host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def _command(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    return "?"
