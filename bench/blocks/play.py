"""One block from its begin to its end, in a running system with two sources in a pool.

1. Mail goes by both sources. 2. The receiver blocks one of them: how many mails does it refuse until nobody
asks by that one any more, and do all arrive by the other? 3. It blocks the other one as well: mail waits.
4. It forgives both, and a person lifts what holds: how fast does the mail come back?
"""

from __future__ import annotations

import smtplib
import time
from dataclasses import dataclass, field
from pathlib import Path

from bench.alarms.stage import Stage, opened
from bench.blocks.receiver import BlockingSink
from bench.browsing import Pages
from tests.dnsserver import DnsServer
from tests.system import ADMIN_PASSWORD

FIRST, SECOND, MX = "127.0.0.2", "127.0.0.3", "127.8.1.10"
DOMAIN, SENDER = "blocking.test", "ann@news.example"
BATCH = 200
"""Deliveries that a claim takes at most (engine/claim.py)."""
N_BEFORE, N_ROUND, N_WAITS = 400, 2_000, 4_000


@dataclass
class Result:
    database: str
    by_source: dict[str, int] = field(default_factory=dict)
    n_refused: int = 0
    refused_for: float = 0.0
    n_round: int = 0
    round_in: float = 0.0
    strip: str = ""
    n_suppressed: int = 0
    n_bounced: int = 0
    n_waited: int = 0
    per_second: list[int] = field(default_factory=list)
    all_in: float = 0.0
    wrong: list[str] = field(default_factory=list)


def play(database: str, folder: Path) -> Result:
    result, sink = Result(database), BlockingSink(MX)

    def settings(stage: Stage) -> dict[str, str]:
        stage.stack.enter_context(sink)
        records = {DOMAIN: {"MX": [f"10 mx.{DOMAIN}."]}, f"mx.{DOMAIN}": {"A": [MX]}}
        dns = stage.stack.enter_context(DnsServer(records))
        return {
            "MAILWEIR_ROUTE": "mx",
            "MAILWEIR_DNS": dns.address,
            "MAILWEIR_MX_PORT": str(sink.port),
            "MAILWEIR_MTA_STS": "off",
        }

    with opened(folder, database, settings) as stage:
        try:
            _run(stage, sink, result)
        except TimeoutError as error:
            result.wrong.append(str(error))
    return result


def _run(stage: Stage, sink: BlockingSink, result: Result) -> None:
    _pool(stage)
    _send(stage, N_BEFORE, "before")
    stage.wait_for(lambda: len(sink.taken) >= N_BEFORE, 60, "mail did not arrive by both sources")
    result.by_source = dict(sink.since(0))
    _go_round(stage, sink, result)
    _come_back(stage, sink, result)
    result.n_suppressed = int(stage.shell("print(Suppression.objects.count())"))
    result.n_bounced = stage.count("state:bounced") + stage.count("state:expired")
    if result.n_suppressed or result.n_bounced:
        result.wrong.append(f"{result.n_suppressed} suppressed, {result.n_bounced} bounced")


def _pool(stage: Stage) -> None:
    """What an administrator sets up once."""
    sources = [
        stage.ask("/api/v1/sources", {"name": name, "address": address, "ehlo_name": f"{name}.ours.test"})[
            "id"
        ]
        for name, address in (("first", FIRST), ("second", SECOND))
    ]
    members = [{"source": pk, "weight": 1} for pk in sources]
    pool = stage.ask("/api/v1/pools", {"name": "news", "members": members})["id"]
    stage.ask("/api/v1/egress-rules", {"kind": "sender_domain", "value": "news.example", "pool": pool})


def _send(stage: Stage, n: int, name: str) -> None:
    with smtplib.SMTP(*stage.system.smtp_address, timeout=60) as client:
        for number in range(n):
            to = f"{name}{number}@{DOMAIN}"
            client.sendmail(SENDER, [to], f"From: {SENDER}\r\nTo: {to}\r\nSubject: x\r\n\r\nx\r\n".encode())


def _go_round(stage: Stage, sink: BlockingSink, result: Result) -> None:
    sink.blocked = {FIRST: "554 5.7.1"}
    began = time.monotonic()
    _send(stage, N_ROUND, "round")
    stage.wait_for(lambda: sink.since(began)[SECOND] >= N_ROUND, 120, "not all went by the other source")
    result.round_in = time.monotonic() - began
    result.n_round = sink.since(began)[SECOND]
    effects = stage.ask("/api/v1/effects")["items"]
    times = [at for at, peer in sink.refused if peer == FIRST]
    if not times or not any(each["key"].startswith("pair:") for each in effects):
        result.wrong.append("no pair was suspended")
        return
    result.n_refused, result.refused_for = len(times), times[-1] - times[0]
    strip = Pages(stage.system.http, "admin", ADMIN_PASSWORD).get("/rules/strip")
    wanted = f"nothing goes to mx.{DOMAIN} by first", f"nothing goes to {DOMAIN} by first"
    result.strip = next((each for each in wanted if each in strip), "")
    if not result.strip:
        result.wrong.append("the strip of the board does not show it")
    if result.n_refused > BATCH:
        result.wrong.append(f"{result.n_refused} were refused: more than a batch")


def _come_back(stage: Stage, sink: BlockingSink, result: Result) -> None:
    # Where nobody else may be asked a permanent reply is final: this one is for now.
    sink.blocked = {FIRST: "451 4.7.1", SECOND: "451 4.7.1"}
    _send(stage, N_WAITS, "waits")
    stage.wait_for(lambda: _n_pairs(stage) == 2, 60, "the other pair was not suspended")
    time.sleep(5)
    result.n_waited = _n_open(stage)
    sink.blocked = {}
    began = time.monotonic()
    for each in stage.ask("/api/v1/effects")["items"]:
        stage.ask(f"/api/v1/effects/{each['id']}/lift", {})
    try:
        stage.wait_for(lambda: _n_open(stage) == 0, 120, "not all came back")
    except TimeoutError as error:
        result.wrong.append(f"{error}: {_n_open(stage):,} still wait, {stage.shell(_SITES)}")
    last = max((at for at, _ in sink.taken), default=began)
    result.all_in = last - began
    result.per_second = sink.per_second(began, int(result.all_in) + 1)


_SITES = (
    "print(list(Site.objects.values('name', 'backoff_until', 'n_failures', 'resume_step', 'resume_before')))"
)


def _n_open(stage: Stage) -> int:
    return sum(stage.count(f"state:{state}") for state in ("queued", "sending", "deferred"))


def _n_pairs(stage: Stage) -> int:
    return sum(each["key"].startswith("pair:") for each in stage.ask("/api/v1/effects")["items"])
