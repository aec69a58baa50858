"""What has to be done every few seconds or every hour, one thing after another.

Promises: what fails is logged and tried again at its next time, and keeps nothing else from
running. Each task is safe to run twice and on several machines at once.
"""

from __future__ import annotations

import logging
import random
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module

from django.apps import apps
from django.conf import settings
from django.db import close_old_connections
from django.utils import timezone
from django.utils.module_loading import import_string

from queueapp import conf

JITTER = 0.2  # of the interval, so that several machines don't move in step
PRUNE_AT_MOST = 30.0  # sweep and reaper wait meanwhile
PRUNE_PAUSE = 0.05  # between two steps, for those who want to write, too
_stop = threading.Event()
log = logging.getLogger(__name__)


@dataclass
class Task:
    """`path` is the dotted name of a function without arguments; `every` in seconds."""

    path: str
    every: float
    due_at: float = 0.0
    n_failed: int = 0

    def run(self) -> None:
        try:
            import_string(self.path)()
        except Exception as error:
            self.n_failed += 1
            # The first failure with its trace, the following ones as a line, or the log drowns.
            is_first = self.n_failed == 1
            log.error("%s failed %d times in a row: %s", self.path, self.n_failed, error, exc_info=is_first)
        else:
            if self.n_failed:
                log.info("%s works again after %d failures", self.path, self.n_failed)
            self.n_failed = 0

    def put_off(self, now: float) -> None:
        self.due_at = now + self.every * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311


def tasks() -> list[Task]:
    """Sweep and reaper are the safety nets of wake-ups and leases, the look at the clock that of all times;
    prune keeps the tables small."""
    return [
        Task("queueapp.engine.reaper.reap", 5.0),
        Task("queueapp.engine.clock.look", 5.0),
        Task("queueapp.engine.sweep.sweep", 3.0),
        Task("queueapp.operations.wake.sweep", 3.0),
        Task("queueapp.workers.schedule.prune", 3600.0),
    ]


def figures() -> list[Task]:
    """What the pages show of the past: it may take a second, and so has a thread of its own."""
    return [
        Task("queueapp.stats.outcomes.roll", 2.0),
        Task("queueapp.stats.refresh.refresh", 2.0),
        Task("queueapp.stats.ages.look", 2.0),
        Task("queueapp.stats.rollups.roll", 10.0),
        Task("queueapp.stats.totals.fold", 600.0),
        Task("queueapp.stats.trials.go_on", 1.0),
    ]


def rules() -> list[Task]:
    """Back-off by rule: floods are seen within seconds, whatever else takes its time, in a third thread."""
    return [
        Task("queueapp.engine.rules.flood.look", 1.0),
        Task("queueapp.engine.rules.gathering.gather", 1.0),
        Task("queueapp.engine.rules.resuming.step", 2.0),
        Task("queueapp.engine.rules.effects.expire", 2.0),
        Task("queueapp.engine.rules.flood.learn", 60.0),
        Task("queueapp.engine.rules.listings.look", 60.0),
        Task("queueapp.engine.rules.shipped.sync", 3600.0),
    ]


def watching() -> list[Task]:
    """What the process `watch` does: it looks from outside, and needs neither workers nor Redis."""
    return [
        Task("queueapp.watch.pulse.beat", 10.0),
        Task("queueapp.watch.diagnosis.look.look", 10.0),
        Task("queueapp.watch.diagnosis.records.look", 10.0),
        Task("queueapp.watch.blocklists.replies.look", 2.0),
        Task("queueapp.watch.blocklists.run.check", 5.0),
    ]


def alerting() -> list[Task]:
    """Alerts are looked at by a thread of their own: whatever a diagnosis or a list takes, they go on."""
    return [Task("queueapp.watch.alerts.look.look", 5.0), Task("queueapp.watch.alerts.forget.forget", 3600.0)]


def notifying() -> list[Task]:
    """What is sent may wait for a server that hangs, in a thread of its own."""
    return [Task("queueapp.watch.notify.send.run", 2.0), Task("queueapp.watch.notify.ping.ping", 60.0)]


def prune() -> int:
    """Remove what is past its retention, in small steps; what is left after a while waits an hour."""
    from queueapp.engine import prune as engine

    now, end, n = timezone.now(), time.monotonic() + PRUNE_AT_MOST, 0
    is_more = True
    while is_more and time.monotonic() < end and not _stop.wait(PRUNE_PAUSE):
        gone = engine.prune(now - conf.current().retention)
        records = engine.prune_records(now)
        n += gone
        is_more = gone > 0 or any(records.values())
    prune_sessions()
    return n


def prune_sessions() -> None:
    """Log-ins that are over, in the store that the settings name; a project that only submits has none."""
    engine = getattr(settings, "SESSION_ENGINE", "")
    if apps.is_installed("dashboard") and engine:
        import_module(engine).SessionStore.clear_expired()


def run(
    ready: Callable[[], None],
    todo: Sequence[Task] | None = None,
    others: Mapping[str, Sequence[Task]] | None = None,
) -> None:
    """Until SIGTERM or SIGINT; a task that runs is finished first. `others`: threads beside it, by name."""
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda number, frame: _stop.set())
    # With a plan of its own a test runs that alone.
    plans = {"figures": figures(), "rules": rules()} if todo is None else dict(others or {})
    beside = [threading.Thread(target=_loop, args=(list(plan),), name=name) for name, plan in plans.items()]
    for thread in beside:
        thread.start()
    ready()
    _loop(list(tasks() if todo is None else todo))
    for thread in beside:
        thread.join()


def _loop(plan: Sequence[Task]) -> None:
    for task in plan:
        # The first round comes soon, but what runs hourly is no part of a start.
        task.due_at = time.monotonic() + min(task.every, 60.0) / 10
    while plan and not _stop.is_set():
        for task in plan:
            if not _stop.is_set() and time.monotonic() >= task.due_at:
                _run(task)
        _stop.wait(max(0.05, min(task.due_at for task in plan) - time.monotonic()))


def _run(task: Task) -> None:
    close_old_connections()
    task.run()
    task.put_off(time.monotonic())
    close_old_connections()
