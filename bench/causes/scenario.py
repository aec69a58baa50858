"""One scenario: a system of its own, what brings the cause about, and how soon it is named."""

from __future__ import annotations

import contextlib
import json
import smtplib
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.postgres import PostgresServer
from tests.system import System

WITHIN = 60.0
STAYS = 12.0
"""Seconds that it has to stay the first: more than a round."""
BASE = {"MAILWEIR_WORKERS": "1", "MAILWEIR_RETRY_FIRST": "5m", "MAILWEIR_CONNECT_TIMEOUT": "3s"}


@dataclass
class Stage:
    """A running system, and ways to write to it."""

    system: System
    key: str
    stack: contextlib.ExitStack
    folder: Path

    def send(self, recipients: Iterable[str], sender: str = "ann@news.example", n_senders: int = 1) -> None:
        """`n_senders`: by so many in turn, for one that sends much is a cause of its own."""
        with smtplib.SMTP(*self.system.smtp_address, timeout=60) as client:
            for number, recipient in enumerate(recipients):
                sender = f"a{number % n_senders}@news.example" if n_senders > 1 else sender
                text = f"From: Ann <{sender}>\r\nTo: {recipient}\r\nSubject: Hello\r\n\r\nx\r\n"
                client.sendmail(sender, [recipient], text.encode())

    def ask(self, path: str, body: dict[str, Any] | None = None, method: str | None = None) -> Any:
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self.system.http + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def causes(self) -> list[dict[str, Any]] | None:
        """What the diagnosis says now; None where nobody answers, or nobody has looked."""
        with contextlib.suppress(OSError, urllib.error.URLError, KeyError, ValueError):
            found = self.ask("/api/v1/diagnosis")
            return None if found["is_stale"] else list(found["causes"])
        return None


@dataclass(frozen=True)
class Scenario:
    """`prepare` gives settings, and may put what it starts on the stack; `bring` brings the cause about."""

    cause: str
    what: str
    prepare: Callable[[contextlib.ExitStack, Path], dict[str, str]]
    bring: Callable[[Stage], None]
    proof: str = ""
    """A part of the evidence or remedy that must be there."""
    why_not: Callable[[], str] = str


@dataclass
class Result:
    name: str
    cause: str
    named: str = ""
    seconds: float = 0.0
    evidence: str = ""
    remedy: str = ""
    wrong: str = ""
    database: str = "sqlite"


def play(name: str, scenario: Scenario, folder: Path, database: str = "sqlite") -> Result:
    """`database`: sqlite or postgres; that is a server of the scenario's own."""
    result = Result(name, scenario.cause, database=database)
    with contextlib.ExitStack() as stack:
        url = ""
        if database == "postgres":
            url = stack.enter_context(PostgresServer(durable=True)).create_database()
        settings = scenario.prepare(stack, folder)
        home = folder / "h"
        home.mkdir(mode=0o700, exist_ok=True)
        system = System(home=home, database_url=url, settings={**BASE, **settings})
        stack.callback(system.close)
        system.start()
        made = system.manage("apikey", "create", "causes", "--scope", "submit,read,operate,admin")
        stage = Stage(system, made.stdout.strip().splitlines()[-1].split()[-1], stack, folder)
        scenario.bring(stage)
        _wait(result, stage, scenario)
    return result


def _wait(result: Result, stage: Stage, scenario: Scenario) -> None:
    began, found = time.monotonic(), list[dict[str, Any]]()
    while time.monotonic() - began < WITHIN:
        now = stage.causes()
        found = now or []
        if now is not None and _first(found) == scenario.cause and scenario.proof in _whole(found[:1]):
            break
        time.sleep(0.5)
    result.seconds, result.named = time.monotonic() - began, _first(found)
    if result.named != scenario.cause:
        others = ", ".join(each["cause"] for each in found) or "nothing"
        result.wrong = f"named: {others}"
        return
    if found:
        result.evidence, result.remedy = evidence_of(found[0]), found[0]["remedy"]
    if scenario.proof not in _whole(found[:1]):
        result.wrong = f"the proof lacks {scenario.proof!r}"
    time.sleep(STAYS)
    after = stage.causes()
    if after and _first(after) != scenario.cause:
        result.wrong = f"later named: {_first(after)}"


def evidence_of(cause: dict[str, Any]) -> str:
    """In one line."""
    wrong = [
        f"{each['what']} of {each['name']}: {each['wrong']}" for each in cause["records"] if each["wrong"]
    ]
    replies = [f"{each['n']} × {each['text']}" for each in cause["replies"]]
    lines = [f"{what}: {how}" for what, how in cause["lines"]]
    return "; ".join([*wrong[:2], *(lines or replies)[:2]])


def _first(causes: list[dict[str, Any]]) -> str:
    return causes[0]["cause"] if causes else "flowing"


def _whole(causes: list[dict[str, Any]]) -> str:
    return json.dumps(causes, ensure_ascii=False)
