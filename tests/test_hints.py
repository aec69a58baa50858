"""What is told after commits: at once after a pause, once for many that follow, and the last for certain."""

from __future__ import annotations

import os
import threading
import time
from functools import partial

import pytest

from queueapp.hints import Hint

pytestmark = pytest.mark.once


class Heard:
    def __init__(self) -> None:
        self.at: list[float] = []
        self.threads: set[str] = set()

    def __call__(self) -> None:
        self.at.append(time.monotonic())
        self.threads.add(threading.current_thread().name)

    def wait_for(self, n: int) -> None:
        end = time.monotonic() + 30
        while len(self.at) < n:
            assert time.monotonic() < end
            time.sleep(0.002)


def test_the_first_is_said_at_once_by_who_has_it() -> None:
    heard = Heard()
    Hint(heard, every=60).tell()
    assert len(heard.at) == 1
    assert heard.threads == {threading.current_thread().name}


def test_those_that_follow_are_said_once_and_not_too_soon() -> None:
    heard = Heard()
    hint = Hint(heard, every=0.05)
    for _ in range(1000):
        hint.tell()
    heard.wait_for(2)
    assert heard.at[1] - heard.at[0] >= 0.05
    time.sleep(0.06)
    assert len(heard.at) <= 3  # a slow machine may take longer than that to tell a thousand
    n = len(heard.at)
    hint.tell()
    heard.wait_for(n + 1)


def test_what_waits_is_said_when_the_process_ends() -> None:
    heard = Heard()
    hint = Hint(heard, every=600)
    hint.tell()
    hint.tell()
    assert len(heard.at) == 1
    hint.flush()
    hint.flush()
    assert len(heard.at) == 2


def test_one_that_fails_does_not_silence_the_next() -> None:
    tries: list[int] = []

    def say() -> None:
        tries.append(1)
        if len(tries) == 2:
            raise RuntimeError("Redis has a bad day")

    hint = Hint(say, every=0.01)
    end = time.monotonic() + 30
    while len(tries) < 4:
        assert time.monotonic() < end
        hint.tell()
        time.sleep(0.001)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_begins_anew() -> None:
    hint = Hint(lambda: None, every=600)
    hint.tell()
    hint.tell()
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        hint._say = partial(print, "said", file=open(write, "w"), flush=True)  # noqa: SIM115
        hint.tell()
        os._exit(0)
    os.waitpid(pid, 0)
    os.set_blocking(read, False)
    assert os.read(read, 10) == b"said\n"
    os.close(read)
    os.close(write)
