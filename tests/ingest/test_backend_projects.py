"""Separate Django projects, each a process of its own, hand their mail to a running Mailweir."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.system import ROOT, System

_SEND = """
import json, sys
import django
from django.conf import settings

chosen = json.loads(sys.argv[1])
if "queueapp" in chosen.get("INSTALLED_APPS", ()):
    from dashboard.settings import DATABASES  # as the README says

    chosen["DATABASES"] = DATABASES
settings.configure(**chosen)
django.setup()
from django.core.mail import EmailMessage, get_connection

mails = [
    EmailMessage("Project", "Hello\\n", "Ann <ann@example.com>", [to], bcc=["eve@ok.test"])
    for to in json.loads(sys.argv[2])
]
try:
    print(get_connection(fail_silently="--silent" in sys.argv).send_messages(mails))
except Exception as error:
    print(type(error).__name__, error)
"""


def send(system: System, folder: Path, settings: dict[str, Any], to: list[str], *flags: str) -> str:
    """What the project printed: how many it sent, or the error."""
    done = subprocess.run(
        [sys.executable, "-c", _SEND, json.dumps(settings), json.dumps(to), *flags],
        cwd=folder,
        env={**system.env, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


SHARED = {
    "EMAIL_BACKEND": "queueapp.ingest.backend.EmailBackend",
    "INSTALLED_APPS": ["queueapp"],
    "USE_TZ": True,
}


def remote(system: System, key: str) -> dict[str, Any]:
    return {
        "EMAIL_BACKEND": "queueapp.ingest.backend.HttpEmailBackend",
        "MAILWEIR_URL": system.http,
        "MAILWEIR_KEY": key,
    }


@pytest.fixture(scope="module")
def key(system: System) -> str:
    return system.manage("apikey", "create", "project").stdout.strip()


def count(system: System, query: str) -> int:
    return int(json.loads(system.manage("queue", "count", "--json", query).stdout)["count"])


def test_it_takes_mail_from_a_project_that_shares_the_database(system: System, tmp_path: Path) -> None:
    assert send(system, tmp_path, SHARED, ["one@ok.test", "two@ok.test"]) == "2"
    assert count(system, "source:backend to:ok.test subject:Project") == 4
    assert "Refused" in send(system, tmp_path, SHARED, ["nobody"])
    assert send(system, tmp_path, SHARED, ["nobody", "three@ok.test"], "--silent") == "1"


def test_it_takes_mail_from_a_project_that_has_a_key_only(system: System, tmp_path: Path, key: str) -> None:
    assert send(system, tmp_path, remote(system, key), ["one@ok.test", "two@ok.test"]) == "2"
    assert count(system, "source:http to:ok.test") == 4
    assert count(system, "source:http to:eve@ok.test") == 2


def test_it_tells_the_project_why_a_mail_was_refused(system: System, tmp_path: Path, key: str) -> None:
    told = send(system, tmp_path, remote(system, key), ["nobody"])
    assert told.startswith("SubmitFailed 422 invalid: ")
    assert "no domain" in told
    assert send(system, tmp_path, remote(system, key), ["nobody", "four@ok.test"], "--silent") == "1"


def test_it_tells_the_project_that_its_key_is_wrong_or_that_nobody_answers(
    system: System, tmp_path: Path
) -> None:
    assert "401 key_unknown" in send(system, tmp_path, remote(system, "mw_wrong"), ["a@ok.test"])
    away = remote(system, "mw_wrong") | {"MAILWEIR_URL": "http://127.0.0.1:9"}
    assert "no answer unreachable" in send(system, tmp_path, away, ["a@ok.test"])
    assert "ImproperlyConfigured" in send(system, tmp_path, away | {"MAILWEIR_KEY": ""}, ["a@ok.test"])
    assert "ImproperlyConfigured" in send(
        system, tmp_path, away | {"MAILWEIR_URL": "file:///etc/passwd"}, ["a@ok.test"]
    )
