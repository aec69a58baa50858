"""Postfix, from Debian's unpacked package, with configuration, queue and data in the scratch folder.

The machine's own Postfix, if there is one, is not touched. Two settings: as shipped (main.cf has only
what a send-only host needs, master.cf is Debian's without chroot), and the best we know for this
load. Nothing is logged where no syslog daemon runs, which favours Postfix.

Loading without delivering: master.cf without the queue manager, so that mail stays in `incoming`,
where it would be anyway. Then Postfix is started anew with it. What is measured after that is the
queue manager's ordinary work.

Needs root, and two accounts that run nothing else (Postfix insists): those in `_OWNERS` that exist.
"""

from __future__ import annotations

import grp
import os
import pwd
import subprocess
from pathlib import Path

from bench.sink import free_port, programs_folder
from bench.systems.base import USUAL, Contender, Failed, Wishes, await_port, end_session
from tests import programs
from tests.processes import all_pids, die_with_parent

# Accounts and groups that Debian has and that hardly ever run anything; Postfix's own come first.
_OWNERS = ("postfix", "uucp", "news", "list", "games", "irc")
_GROUPS = ("postdrop", "uucp", "news", "list", "games", "irc", "operator")
_QUEUES = ("active bounce corrupt defer deferred flush hold incoming private saved trace").split()


class Postfix(Contender):
    label = "postfix shipped"
    main: dict[str, str] = {}

    def __init__(self, folder: Path, sink: tuple[str, int], wishes: Wishes = USUAL) -> None:
        super().__init__(folder, sink, wishes)
        self.process: subprocess.Popen[bytes] | None = None
        self.port = 0
        self.package = programs_folder() / "postfix"
        self.accounts = ("", "")

    @classmethod
    def why_missing(cls) -> str:
        package = programs_folder() / "postfix" / "usr/lib/postfix/sbin/master"
        if not package.exists():
            return programs.why_missing("postfix").replace("make test", "make bench")
        if os.geteuid() != 0:
            return "Postfix needs root to start"
        if not _accounts():
            return "Postfix needs an account and a group that run nothing else; none of ours is free"
        return ""

    @property
    def smtp_address(self) -> tuple[str, int]:
        return "127.0.0.1", self.port

    def roots(self) -> list[int]:
        return [self.process.pid] if self.process else []

    def start(self, *, delivering: bool) -> None:
        if self.process is None:
            self._make_folders()
        else:
            end_session(self.process)
        for _ in range(5):  # a free port may be taken before Postfix binds it
            self.port = free_port()
            self._write_config(delivering)
            self.process = subprocess.Popen(
                [str(self.package / "usr/lib/postfix/sbin/master"), "-d", "-c", str(self.folder / "etc")],
                cwd=self.folder,
                env={"PATH": os.environ.get("PATH", ""), "LD_LIBRARY_PATH": self._libraries},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=(self.folder / "stderr").open("ab"),
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
            if await_port(self.smtp_address, self.process):
                return
            end_session(self.process)
        raise Failed("Postfix did not start: " + self.sign_of_trouble())

    def close(self) -> None:
        if self.process is not None:
            end_session(self.process)

    def sign_of_trouble(self) -> str:
        texts = [
            (self.folder / name).read_text(errors="replace")[-2000:]
            for name in ("stderr", "log")
            if (self.folder / name).exists()
        ]
        return "\n".join(text for text in texts if text)

    @property
    def _libraries(self) -> str:
        return str(self.package / "usr/lib/postfix")

    # ── Files ─────────────────────────────────────────────────────────────────────────────────

    def _make_folders(self) -> None:
        self.accounts = owner, group = _accounts() or ("", "")
        uid, gid = pwd.getpwnam(owner).pw_uid, grp.getgrnam(group).gr_gid
        queue = self.folder / "q"
        for path in (self.folder / "etc", queue, queue / "pid"):
            path.mkdir()
        for name in _QUEUES:
            (queue / name).mkdir(mode=0o700)
            os.chown(queue / name, uid, 0)
        for name, mode in (("maildrop", 0o1730), ("public", 0o2710)):
            (queue / name).mkdir()
            os.chown(queue / name, uid, gid)
            (queue / name).chmod(mode)
        (self.folder / "data").mkdir(mode=0o700)
        os.chown(self.folder / "data", uid, 0)

    def _write_config(self, delivering: bool) -> None:
        (self.folder / "etc" / "main.cf").write_text(
            "".join(f"{name} = {value}\n" for name, value in self._main().items())
        )
        shipped = (self.package / "usr/share/postfix/master.cf.dist").read_text()
        services = master_lines(shipped, self.port, with_queue_manager=delivering)
        (self.folder / "etc" / "master.cf").write_text(services)

    def _main(self) -> dict[str, str]:
        owner, group = self.accounts
        host, port = self.sink
        etc, libexec = self.folder / "etc", self.package / "usr/lib/postfix/sbin"
        kept = "MAIL_CONFIG TZ LANG=C LD_LIBRARY_PATH"
        return {
            "compatibility_level": "3.6",
            "config_directory": str(etc),
            "queue_directory": str(self.folder / "q"),
            "data_directory": str(self.folder / "data"),
            "daemon_directory": str(libexec),
            "command_directory": str(self.package / "usr/sbin"),
            "meta_directory": str(etc),
            "shlib_directory": self._libraries,
            "import_environment": kept,
            "export_environment": kept,
            "mail_owner": owner,
            "setgid_group": group,
            "default_privs": "nobody",
            "myhostname": "postfix.bench.test",
            "mydestination": "",
            "inet_interfaces": "127.0.0.1",
            "inet_protocols": "ipv4",
            "mynetworks": "127.0.0.0/8",
            "alias_maps": "",
            "local_recipient_maps": "",
            "relayhost": f"[{host}]:{port}",
            "smtpd_relay_restrictions": "permit_mynetworks, reject",
            "default_destination_concurrency_limit": str(self.wishes.sessions),
            **({"maillog_file": f"{self.folder}/log", "maillog_file_prefixes": "/"} if _is_logged() else {}),
            **self.main,
            **self.wishes.postfix,
        }


class PostfixAtBest(Postfix):
    """Concurrency at its limit from the start, no connection cache, no brake on what comes in."""

    label = "postfix best"

    def _main(self) -> dict[str, str]:
        best = {
            "initial_destination_concurrency": str(self.wishes.sessions),
            "smtp_connection_cache_on_demand": "no",
            "smtpd_peername_lookup": "no",
            "in_flow_delay": "0",
        }
        return {**super()._main(), **best, **self.wishes.postfix}


def master_lines(shipped: str, port: int, *, with_queue_manager: bool) -> str:
    """Debian's master.cf on our port, without chroot and without services of other packages.

    Without the queue manager, cleanup must not wait for it either.
    """
    lines = []
    skipping = False
    for line in shipped.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        if line[0].isspace():
            if not skipping:
                lines.append(line)
            continue
        fields = line.split()
        name, kind, command = fields[0], fields[1], fields[7]
        skipping = command == "pipe" or (name == "qmgr" and not with_queue_manager)
        if skipping:
            continue
        fields[4] = "n"
        if (name, kind) == ("smtp", "inet"):
            fields[0] = f"127.0.0.1:{port}"
        lines.append("  ".join(fields))
        if name == "cleanup" and not with_queue_manager:
            lines.append("  -o in_flow_delay=0")
    return "\n".join(lines) + "\n"


def _accounts() -> tuple[str, str] | None:
    """An account for `mail_owner` that runs nothing and a group for `setgid_group` that is not its own."""
    in_use = {_owner_of(pid) for pid in all_pids()}
    for owner in _OWNERS:
        try:
            entry = pwd.getpwnam(owner)
        except KeyError:
            continue
        if entry.pw_uid in in_use:
            continue
        for group in _GROUPS:
            try:
                gid = grp.getgrnam(group).gr_gid
            except KeyError:
                continue
            if gid not in (entry.pw_gid, pwd.getpwnam("nobody").pw_gid):
                return owner, group
    return None


def _owner_of(pid: int) -> int:
    try:
        return os.stat(f"/proc/{pid}").st_uid
    except OSError:
        return -1


def _is_logged() -> bool:
    """For who looks for a fault: BENCH_POSTFIX_LOG=1 makes Postfix write a log into the scratch folder."""
    return bool(os.environ.get("BENCH_POSTFIX_LOG"))
