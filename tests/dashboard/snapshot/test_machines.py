from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from dashboard.snapshot.machines import parts, runners
from queueapp import conf
from tests.dashboard.rows import a_runner, now


def written(tmp_path: Path, text: str) -> list[dict[str, object]]:
    (tmp_path / "parts.json").write_text(text)
    with conf.override(home=tmp_path):
        return parts()


def test_it_works(tmp_path: Path) -> None:
    (part,) = written(
        tmp_path, json.dumps({"parts": [{"name": "web", "pid": 7, "state": "running", "n_restarts": 2}]})
    )
    assert part["name"] == "web"
    assert part["n_restarts"] == 2
    assert part["last_exit"] == ""


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"parts": 1}', '{"parts": [1]}', '{"parts": [{"pid": "x"}]}']
)
def test_it_reads_a_broken_file_as_none(tmp_path: Path, text: str) -> None:
    assert written(tmp_path, text) == []


def test_it_needs_no_file(tmp_path: Path) -> None:
    with conf.override(home=tmp_path):
        assert parts() == []


@pytest.mark.django_db
def test_it_shows_only_runners_that_live() -> None:
    a_runner(job="alive")
    a_runner(job="ended", ended_at=now())
    a_runner(job="lapsed", lease_until=now() - timedelta(seconds=5))
    assert [row["job"] for row in runners(now())] == ["alive"]


@pytest.mark.django_db
def test_it_names_a_machine_without_the_folder_of_its_home() -> None:
    a_runner(machine="mail1:/srv/mailweir")
    assert [row["machine"] for row in runners(now())] == ["mail1"]
