from __future__ import annotations

import subprocess
import sys
import time

from bench.usage import Meter, cpu_seconds, peak_memory
from tests.processes import die_with_parent

# Works for a while itself, and in a child that has ended by then.
_BUSY = """
import os, sys, time
def work(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end: pass
if not os.fork():
    work(0.2); os._exit(0)
os.wait(); work(0.1)
held = bytearray(50_000_000)
print("done", flush=True); sys.stdin.read()
"""


def test_it_counts_a_tree_with_the_children_that_ended() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", _BUSY],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        preexec_fn=die_with_parent,
    )
    try:
        with Meter(lambda: [process.pid]) as meter:
            assert process.stdout is not None
            assert process.stdout.readline() == b"done\n"
            meter.look()
            assert meter.cpu() >= 0.25
            assert meter.largest_mb >= 50
            assert meter.runner_mb == 0
    finally:
        process.kill()
        process.communicate()
    assert peak_memory(process.pid) == ("", 0.0)


def test_what_others_use_does_not_count() -> None:
    process = subprocess.Popen(["sleep", "60"], preexec_fn=die_with_parent)
    try:
        before = cpu_seconds([process.pid])
        end = time.process_time() + 0.1
        while time.process_time() < end:
            pass
        assert cpu_seconds([process.pid]) - before < 0.1
    finally:
        process.kill()
        process.wait()
