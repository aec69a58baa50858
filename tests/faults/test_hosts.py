"""Three machines with one PostgreSQL and one Valkey; one is cut off under load, in the middle of a
transaction that the others wait for, and comes back.

Machines are network namespaces (bench/faults/network.py). `python -m bench faults host-cut host-cut-long
host-lost` plays the same for longer, and for good.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.faults.book import Finding, count
from bench.faults.hosts import NAMES, Cluster
from bench.faults.network import why_missing
from bench.faults.play import judge, settle
from bench.faults.rig import SESSIONS, WORKERS
from tests.processes import die_with_parent
from tests.system import ROOT

pytestmark = [pytest.mark.system, pytest.mark.once, pytest.mark.needs("ip")]
RATE = 60.0
# A transaction that locks all domains, and then says nothing.
_HOLD = """
from django.db import connection, transaction
with transaction.atomic(), connection.cursor() as cursor:
    cursor.execute("SELECT id FROM queueapp_recipientdomain ORDER BY id FOR UPDATE")
    print("locked", flush=True)
    input()
"""


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    if why := why_missing():
        pytest.skip(why)
    with Cluster(tmp_path) as running:
        yield running


def hold_locks(cluster: Cluster, name: str) -> subprocess.Popen[str]:
    """A process on that machine, with all domains locked."""
    process = cluster.network[name].run(
        lambda: subprocess.Popen(
            [sys.executable, "manage.py", "shell", "-v0", "-c", _HOLD],
            cwd=ROOT,
            env=cluster.systems[name].env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=die_with_parent,
        )
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "locked\n"
    return process


@pytest.mark.timeout(180)
def test_a_machine_that_is_cut_off_holds_nobody_up_for_long_and_loses_nothing(cluster: Cluster) -> None:
    gone = NAMES[-1]
    with contextlib.ExitStack() as stack:
        loads = {name: stack.enter_context(cluster.load(name, RATE / 3)) for name in NAMES}
        time.sleep(2)
        holder = hold_locks(cluster, gone)
        stack.callback(holder.kill)
        cluster.network[gone].unplug()
        cut_at = time.monotonic()
        while not any(at > cut_at + 3 for at in loads["a"].accepted.values()):
            assert time.monotonic() < cut_at + 60, "the lost machine's locks keep the others waiting"
            time.sleep(0.2)
        cluster.network[gone].plug()
        plugged_at = time.monotonic()
        while not any(at > plugged_at for at in loads[gone].accepted.values()):
            assert time.monotonic() < plugged_at + 60, "the machine that came back takes no mail"
            time.sleep(0.2)
        for load in loads.values():
            load.stop()
    accepted = {number: at for load in loads.values() for number, at in load.accepted.items()}
    depth = settle(lambda: cluster.api, lambda: accepted.keys() <= cluster.sink.received.keys())
    found = Finding("host-cut", "postgres", allowed=SESSIONS * WORKERS)
    sink = cluster.sink
    count(found, accepted, sink.received, sink.first_at, cluster.api.ambiguous(), plugged_at)
    assert judge(found, depth, sink.n_strangers) == []
    assert (found.lost, found.unlisted) == (0, 0)
    assert found.repeated <= found.allowed
