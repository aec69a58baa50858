"""One flood: who feels it, when it is held, who is told, and how it is cleared away."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from bench.alarms.stage import TO, Stage, opened
from bench.browsing import Pages
from bench.floods.traffic import Flood, Probe, Receiver, by_http, by_smtp, told
from tests.counting_sink import CountingSink
from tests.system import ADMIN_PASSWORD
from tests.transports.certificates import make_certificates

OWNER = "owner@corp.example"
SLOW = 1.0
"""Seconds that a receiver of the flood takes for a mail, so that much of it waits when it is stopped."""
_SETTLES, _ENDS_WITHIN = 5.0, 120.0
Figures = dict[str, list[float]]


@dataclass
class Result:
    """Milliseconds: the median and the 95th percentile, before and while it floods."""

    database: str
    n: int
    took: float = 0.0
    stopped_after: float = 0.0
    why: str = ""
    n_queued_held: int = 0
    n_held: int = 0
    n_left: int = 0
    held_after: float = 0.0
    owner_told: float = 0.0
    oncall_told: float = 0.0
    deleted_in: float = 0.0
    n_deleted: int = 0
    others: dict[str, Figures] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)


def play(database: str, folder: Path, n: int, seconds: float, calm: float) -> Result:
    """`calm`: seconds before the flood that are the usual."""
    result, receiver, victims = Result(database, n), Receiver(), CountingSink(takes=SLOW)
    made = make_certificates(folder / "tls", "localhost")

    def settings(stage: Stage) -> dict[str, str]:
        stage.stack.enter_context(receiver)
        stage.stack.enter_context(victims)
        return {
            "MAILWEIR_SMTP_CERT": str(made.certificate),
            "MAILWEIR_SMTP_KEY": str(made.key),
            "MAILWEIR_ROUTE": f"smtp://127.0.0.1:{receiver.port}?tls=none",
        }

    with opened(folder, database, settings) as stage:
        try:
            route = {"name": "victims", "pattern": ".flood.test", "kind": "relay", "host": "127.0.0.1"}
            stage.ask("/api/v1/routes", {**route, "port": victims.port, "tls": "none"})
            _run(stage, receiver, result, seconds, calm)
        except TimeoutError as error:
            result.wrong.append(str(error))
    return result


def _run(stage: Stage, receiver: Receiver, result: Result, seconds: float, calm: float) -> None:
    password = (
        stage.system.manage("smtplogin", "create", "stolen").stdout.strip().splitlines()[-1].split()[-1]
    )
    stage.system.manage("smtplogin", "set", "stolen", "--owner", OWNER)
    probes = [
        Probe("http", by_http(stage.system.http, stage.key)),
        Probe("smtp", by_smtp(stage.system.smtp_address)),
    ]
    for probe in probes:
        probe.start()
    time.sleep(_SETTLES)
    before = time.monotonic()
    time.sleep(calm)
    flood = Flood(stage.system.smtp_address, "stolen", password, result.n, seconds)
    thread = threading.Thread(target=flood.run, daemon=True)
    began = time.monotonic()
    thread.start()
    try:
        effect = _stopped(stage)
        result.stopped_after, result.why = time.monotonic() - began, effect["reply"]
        result.owner_told = _told(stage, OWNER, began)
        result.oncall_told = _told(stage, TO, began)
        thread.join(seconds * 5)
        result.took = flood.took
        ended = time.monotonic()
        stage.wait_for(
            lambda: stage.exactly("login:stolen state:queued") == 0, _ENDS_WITHIN, "not all is held"
        )
        result.held_after = time.monotonic() - ended
    finally:
        for probe in probes:
            probe.stop()
    time.sleep(_SETTLES)
    result.n_queued_held = _effect(stage)["n_held"]
    result.n_held, result.n_left = (
        stage.exactly("login:stolen state:held"),
        stage.exactly("login:stolen state:delivered"),
    )
    for probe in probes:
        _judge(probe, receiver, result, before, began, ended)
    if flood.n_accepted != result.n or result.n_held + result.n_left != result.n:
        result.wrong.append(f"{flood.n_accepted:,} accepted, {result.n_held:,} held, {result.n_left:,} left")
    _clear(stage, effect["id"], result)


def _stopped(stage: Stage) -> dict:  # type: ignore[type-arg]
    stage.wait_for(lambda: bool(_effect(stage)), _ENDS_WITHIN, "nobody was stopped")
    return _effect(stage)


def _effect(stage: Stage) -> dict:  # type: ignore[type-arg]
    found = [each for each in stage.ask("/api/v1/effects")["items"] if each["key"] == "login:stolen"]
    return found[0] if found else {}


def _told(stage: Stage, to: str, began: float) -> float:
    def there() -> bool:
        return any(each.to == to and "stolen" in each.subject + each.text for each in stage.box.letters)

    stage.wait_for(there, _ENDS_WITHIN, f"{to} was not told")
    return next(each.at for each in stage.box.letters if each.to == to) - began


def _judge(
    probe: Probe, receiver: Receiver, result: Result, before: float, began: float, ended: float
) -> None:
    usual, n_gone = probe.delays(receiver, before, began)
    late, n_missing = probe.delays(receiver, began, ended)
    result.others[probe.name] = {
        "accept_before": list(told(probe.takes(before, began))),
        "accept_during": list(told(probe.takes(began, ended))),
        "deliver_before": list(told(usual)),
        "deliver_during": list(told(late)),
    }
    if n_gone + n_missing + probe.n_failed:
        result.wrong.append(
            f"{probe.name}: {n_gone + n_missing} did not arrive, {probe.n_failed} were refused"
        )


def _clear(stage: Stage, effect: int, result: Result) -> None:
    """The button of the page Back-off: the dialog's form with its reason and number as they are."""
    pages = Pages(stage.system.http, "admin", ADMIN_PASSWORD)
    began = time.monotonic()
    pages.submit(f"/effects/{effect}/delete")
    stage.wait_for(lambda: stage.exactly("login:stolen state:held") == 0, _ENDS_WITHIN, "not all is deleted")
    result.deleted_in = time.monotonic() - began
    result.n_deleted = stage.exactly("login:stolen state:deleted")
    if result.n_deleted != result.n_held:
        result.wrong.append(f"{result.n_held:,} were held, {result.n_deleted:,} deleted")
