"""Exim, from Debian's unpacked package, with configuration, spool and log in the scratch folder.

Debian's Exim wants an account of its own by name. Instead of making one, it runs in a mount namespace in
which `/etc/passwd` and `/etc/group` are copies with that line; the machine's own files are not touched.
It delivers over SMTP only, so it runs without privilege (`deliver_drop_privilege`).

Loading without delivering: `queue_only`. Then it is started anew, with several queue runners at once:
Exim's own way to empty a queue quickly. Split spool directories, as its manual
advises for large queues.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from bench.sink import free_port, programs_folder
from bench.systems.base import SESSIONS, USUAL, Contender, Failed, Wishes, await_port, end_session
from tests import programs
from tests.processes import die_with_parent

_USER, _UID = "Debian-exim", 64321  # no account of the machine has this number
# Arguments: passwd, group, how many at once, the command.
_IN_NAMESPACE = """
mount --bind "$1" /etc/passwd && mount --bind "$2" /etc/group || exit 1
n=$3; shift 3
[ "$n" -eq 1 ] && exec "$@"
while [ "$n" -gt 0 ]; do "$@" & n=$((n - 1)); done
wait
"""


class Exim(Contender):
    label = "exim"
    share = 0.2
    # Exim answers QUIT 200 ms late; clients that reconnect would measure nothing but that.
    clients_reconnect = False

    def __init__(self, folder: Path, sink: tuple[str, int], wishes: Wishes = USUAL) -> None:
        super().__init__(folder, sink, wishes)
        self.daemon: subprocess.Popen[bytes] | None = None
        self.runners: subprocess.Popen[bytes] | None = None  # the shell above all of them
        self.port = 0
        self.package = programs_folder() / "exim4-daemon-light"
        self.program = self.package / "usr/sbin/exim4"

    @classmethod
    def why_missing(cls) -> str:
        if not (programs_folder() / "exim4-daemon-light/usr/sbin/exim4").exists():
            return programs.why_missing("exim4").replace("make test", "make bench")
        if os.geteuid() != 0:
            return "Exim needs root here, for a mount namespace"
        if (
            not shutil.which("unshare")
            or subprocess.run(["unshare", "--mount", "true"], check=False).returncode
        ):
            return "Exim needs a mount namespace, and unshare(1) makes none here"
        return ""

    @property
    def smtp_address(self) -> tuple[str, int]:
        return "127.0.0.1", self.port

    def roots(self) -> list[int]:
        return [process.pid for process in (self.daemon, self.runners) if process]

    def start(self, *, delivering: bool) -> None:
        if self.daemon is None:
            self._make_folders()
        else:
            end_session(self.daemon)
        for _ in range(5):  # a free port may be taken before Exim binds it
            self.port = free_port()
            (self.folder / "etc" / "exim.conf").write_text(self._config(delivering))
            self.daemon = self._run("-bdf", *(["-q2s"] if delivering else []))
            if await_port(self.smtp_address, self.daemon):
                break
            end_session(self.daemon)
        else:
            raise Failed("Exim did not start: " + self.sign_of_trouble())
        if delivering:
            self.runners = self._run("-q", n=self._n_runners)

    def close(self) -> None:
        for process in (self.runners, self.daemon):
            if process is not None:
                end_session(process)

    def sign_of_trouble(self) -> str:
        texts = [
            (self.folder / name).read_text(errors="replace")[-2000:]
            for name in ("stderr", "log/panic", "log/main")
            if (self.folder / name).exists()
        ]
        return "\n".join(text for text in texts if text)

    def _run(self, *flags: str, n: int = 1) -> subprocess.Popen[bytes]:
        etc = self.folder / "etc"
        inside = ["unshare", "--mount", "--propagation", "private", "sh", "-c", _IN_NAMESPACE, "sh"]
        exim = [str(self.program), "-C", str(etc / "exim.conf"), *flags]
        return subprocess.Popen(
            [*inside, str(etc / "passwd"), str(etc / "group"), str(n), *exim],
            cwd=self.folder,
            env={"PATH": os.environ.get("PATH", ""), "LD_LIBRARY_PATH": self._libraries},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=(self.folder / "stderr").open("ab"),
            start_new_session=True,
            preexec_fn=die_with_parent,
        )

    @property
    def _n_runners(self) -> int:
        """More than a few only fight over the same list; a slow receiver leaves time for some more."""
        return 4 if self.wishes.sessions <= SESSIONS else 20

    @property
    def _libraries(self) -> str:
        folders = [*self.package.glob("usr/lib/*linux-gnu"), *self.package.glob("lib/*linux-gnu")]
        return ":".join(str(folder) for folder in folders)

    # ── Files ─────────────────────────────────────────────────────────────────────────────────

    def _make_folders(self) -> None:
        for name in ("etc", "spool", "log"):
            (self.folder / name).mkdir()
        for name in ("spool", "log"):
            os.chown(self.folder / name, _UID, _UID)
        accounts = Path("/etc/passwd").read_text() + f"{_USER}:x:{_UID}:{_UID}::/nonexistent:/bin/false\n"
        (self.folder / "etc" / "passwd").write_text(accounts)
        groups = Path("/etc/group").read_text() + f"{_USER}:x:{_UID}:\n"
        (self.folder / "etc" / "group").write_text(groups)

    def _config(self, delivering: bool) -> str:
        host, port = self.sink
        return f"""
exim_path = {self.program}
keep_environment = LD_LIBRARY_PATH : PATH
primary_hostname = exim.bench.test
spool_directory = {self.folder}/spool
log_file_path = {self.folder}/log/%s
pid_file_path = {self.folder}/spool/exim.pid
local_interfaces = 127.0.0.1
daemon_smtp_ports = {self.port}
disable_ipv6 = true
deliver_drop_privilege = true
queue_only = {"false" if delivering else "true"}
queue_run_max = {self.wishes.sessions}
split_spool_directory = true
smtp_accept_max = 200
smtp_accept_max_per_connection = 1000000
smtp_accept_queue_per_connection = 0
smtp_receive_timeout = 5m
tls_advertise_hosts =
acl_smtp_rcpt = take
begin acl
take:
  accept
begin routers
all:
  driver = manualroute
  route_list = * {host}
  self = send
  transport = out
begin transports
out:
  driver = smtp
  port = {port}
  allow_localhost
  hosts_avoid_tls = *
begin retry
* * F,1h,2s
"""
