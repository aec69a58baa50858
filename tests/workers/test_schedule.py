"""The schedule: what fails keeps nothing else from running."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from queueapp import conf
from queueapp.models import Runner
from queueapp.workers import schedule
from queueapp.workers.schedule import Task
from tests.processes import die_with_parent
from tests.workers.test_supervisor import until

RUN = """
import sys
import django
django.setup()
from queueapp.workers import logs, schedule
from queueapp.workers.schedule import Task
logs.configure()
print("ready", flush=True)
here = "tests.workers.test_schedule."
schedule.run(lambda: None, [Task(here + "fail", 0.1), Task(here + "note", 0.1)])
"""
calls: list[int] = []


def fail() -> None:
    raise ValueError("this one always fails")


def note() -> None:
    calls.append(1)
    if name := os.environ.get("MAILWEIR_TEST_NOTE"):
        with Path(name).open("a") as file:
            file.write("x")


def test_it_works_on_after_a_failure(tmp_path: Path) -> None:
    log, mark = tmp_path / "log", tmp_path / "note"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-c", RUN],
            cwd=Path(__file__).resolve().parents[2],
            env=os.environ | {"MAILWEIR_TEST_NOTE": str(mark)},
            stdout=file,
            stderr=file,
            preexec_fn=die_with_parent,
        )
    until(lambda: process.poll() is not None or (mark.exists() and mark.stat().st_size >= 3))
    process.send_signal(signal.SIGTERM)
    assert process.wait(5) == 0, log.read_text()
    text = log.read_text()
    assert "fail failed 1 times in a row: this one always fails" in text
    assert text.count("Traceback") == 1  # the first time only


def test_it_tells_when_a_task_works_again(caplog: pytest.LogCaptureFixture) -> None:
    task = Task("tests.workers.test_schedule.note", 5, n_failed=3)
    with caplog.at_level(logging.INFO):
        task.run()
    assert "works again after 3 failures" in caplog.text
    assert task.n_failed == 0


def test_it_spreads_the_tasks_of_several_machines() -> None:
    task = Task("x", 10)
    due = set()
    for _ in range(20):
        task.put_off(100.0)
        due.add(task.due_at)
    assert len(due) > 10
    assert all(108 <= each <= 112 for each in due)


def test_every_task_exists() -> None:
    from django.utils.module_loading import import_string

    assert all(callable(import_string(task.path)) for task in schedule.tasks())


@pytest.mark.django_db
def test_it_prunes_what_is_past_its_retention() -> None:
    now = timezone.now()
    for days in (1, 30):
        Runner.objects.create(
            job="runner-0", machine="here", pid=1, started_at=now, lease_until=now,
            ended_at=now - timedelta(days=days),
        )  # fmt: skip
    with conf.override(retention=timedelta(days=7)):
        schedule.prune()
    assert Runner.objects.count() == 1
