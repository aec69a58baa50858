"""The scenarios, one a cause. Receivers, name servers and parts are real; only what they do is arranged."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import psycopg

from bench.causes.receivers import BROKEN, CLOSED, SILENT, Receivers
from bench.causes.scenario import Scenario, Stage
from bench.faults.rig import is_worker
from tests.dnsserver import Records
from tests.valkey import ValkeyServer

Prepare = Callable[[contextlib.ExitStack, Path], dict[str, str]]
_MANY = 12
_FINE = {"fine.test": ""}


def _to(domain: str, n: int = 30) -> list[str]:
    return [f"u{number}@{domain}" for number in range(n)]


def _world(
    manners: dict[str, str], records: Records | None = None, delay: float = 0.0, **more: str
) -> Prepare:
    """`delay`: seconds that every receiver takes for each mail."""

    def prepare(stack: contextlib.ExitStack, folder: Path) -> dict[str, str]:
        return {**stack.enter_context(Receivers(manners, records, delay)).settings, **more}

    return prepare


def _plain(**settings: str) -> Prepare:
    return lambda stack, folder: dict(settings)


def _says(cause: str, what: str, reply: str, proof: str, **more: str) -> Scenario:
    """One receiver says it, another takes its mail."""

    def bring(stage: Stage) -> None:
        stage.send([*_to("said.test"), *_to("fine.test", 5)])

    return Scenario(cause, what, _world({"said.test": reply, **_FINE}, **more), bring, proof)


_RECORDS: Records = {
    "news.example": {"TXT": ['"v=spf1 ip4:198.51.100.1 -all"']},
    "_dmarc.news.example": {"TXT": ['"v=DMARC1; p=reject"']},
}


def _authentication() -> Scenario:
    reply = "550 5.7.26 This mail has been blocked because the sender is unauthenticated"

    def bring(stage: Stage) -> None:
        stage.send([*_to("said.test"), *_to("fine.test", 5)])

    world = _world({"said.test": reply, **_FINE}, _RECORDS)
    return Scenario(
        "authentication", "a receiver misses SPF; ours lists another address", world, bring, "does not list"
    )


def _reverse() -> Scenario:
    reply = "550 5.7.25 The IP address sending this message does not have a PTR record setup"

    def bring(stage: Stage) -> None:
        stage.send([*_to("said.test"), *_to("fine.test", 5)])

    return Scenario(
        "reverse_dns", "a receiver wants a PTR record; we have none",
        _world({"said.test": reply, **_FINE}), bring,
        "there is none",
    )  # fmt: skip


def _many_to(manner: str) -> dict[str, str]:
    return {f"d{number}.test": manner for number in range(_MANY)}


def _port25() -> Scenario:
    def bring(stage: Stage) -> None:
        stage.send([f"u{n}@d{number}.test" for number in range(_MANY) for n in range(5)])

    return Scenario(
        "port25",
        f"connections to {_MANY} sites get no answer at all",
        _world(_many_to(SILENT)),
        bring,
        "does not answer",
    )


def _name_servers() -> Scenario:
    def bring(stage: Stage) -> None:
        stage.send([f"u{n}@d{number}.test" for number in range(_MANY) for n in range(5)])

    return Scenario(
        "name_servers", "our name server is gone",
        _plain(MAILWEIR_ROUTE="mx", MAILWEIR_DNS="127.8.0.1:9", MAILWEIR_MTA_STS="off"), bring, "127.8.0.1:9",
    )  # fmt: skip


def _dns() -> Scenario:
    def bring(stage: Stage) -> None:
        stage.send([*_to("broken.test"), *_to("fine.test")])

    return Scenario(
        "dns",
        "the name servers of one domain fail",
        _world({"broken.test": BROKEN, **_FINE}),
        bring,
        "broken.test",
    )


def _down() -> Scenario:
    def bring(stage: Stage) -> None:
        stage.send([*_to("down.test"), *_to("fine.test", 5)])

    return Scenario(
        "receiver_down",
        "one receiver's host refuses connections",
        _world({"down.test": CLOSED, **_FINE}),
        bring,
        "refused",
    )


def _slow() -> Scenario:
    def bring(stage: Stage) -> None:
        stage.send(_to("host.slow.test"))

    return Scenario(
        "receiver_down", "a receiver that takes ages to answer", _plain(MAILWEIR_SITE_SESSIONS="1"), bring
    )


def _flood() -> Scenario:
    def bring(stage: Stage) -> None:
        stage.send([f"u{n}@d{n % _MANY}.test" for n in range(800)], sender="stolen@corp.example")
        stage.send(_to("d0.test", 10))

    return Scenario(
        "flood",
        "800 mails of one account within seconds",
        _world(_many_to(""), delay=3.0, MAILWEIR_SITE_SESSIONS="1"),
        bring,
        "stolen@corp.example",
    )


def _campaign() -> Scenario:
    def bring(stage: Stage) -> None:
        for place in range(0, 600, 50):
            to = [f"u{n}@d{n % _MANY}.test" for n in range(place, place + 50)]
            body = {
                "from": "news@shop.example",
                "to": to,
                "subject": "Spring",
                "text": "x",
                "tags": ["campaign:spring"],
            }
            stage.ask("/api/v1/messages", body)
        stage.send(_to("d0.test", 10))

    return Scenario(
        "campaign",
        "600 mails of a campaign, three seconds each",
        _world(_many_to(""), delay=3.0, MAILWEIR_SITE_SESSIONS="1"),
        bring,
        "spring",
    )


def _bad_list() -> Scenario:
    def bring(stage: Stage) -> None:
        stage.send([*_to("old.nouser.test", 60), *_to("ok.example", 20)], sender="list@shop.example")

    return Scenario("bad_list", "60 of 80 addresses do not exist", _plain(), bring, "No such user")


def _suspended() -> Scenario:
    def bring(stage: Stage) -> None:
        stage.send(_to("stopped.example", 1))
        stage.ask("/api/v1/domains/stopped.example/suspend", {"reason": "They asked for a pause"})
        stage.send([*_to("stopped.example"), *_to("ok.example", 5)])

    return Scenario("suspended", "a person suspended a domain", _plain(), bring, "stopped.example")


def _held() -> Scenario:
    def bring(stage: Stage) -> None:
        rule = {"kind": "sender_domain", "value": "news.example", "reason": "Legal looks at it"}
        stage.ask("/api/v1/holds", rule)
        stage.send([*_to("ok.example")])

    return Scenario("held", "a hold rule holds what a sender sends", _plain(), bring, "Legal looks at it")


def _own_limit() -> Scenario:
    def bring(stage: Stage) -> None:
        stage.send(_to("ok.example", 40))

    return Scenario("own_limit", "a rate of ours: 6 mails an hour", _plain(MAILWEIR_DOMAIN_RATE="6/h"), bring)


def _no_workers() -> Scenario:
    return Scenario(
        "no_workers", "no worker runs (MAILWEIR_WORKERS=0)", _plain(MAILWEIR_WORKERS="0"),
        lambda stage: stage.send(_to("ok.example")), "accepts only",
    )  # fmt: skip


def _stalled() -> Scenario:
    def bring(stage: Stage) -> None:
        for pid in stage.system.children():
            if is_worker(pid):
                os.kill(pid, signal.SIGSTOP)
        stage.send(_to("ok.example"))

    return Scenario("stalled", "the workers hang (SIGSTOP)", _plain(), bring, "should start one")


def _redis() -> Scenario:
    valkey: list[ValkeyServer] = []

    def prepare(stack: contextlib.ExitStack, folder: Path) -> dict[str, str]:
        valkey.append(stack.enter_context(ValkeyServer(folder / "v.sock")))
        return {"REDIS_URL": valkey[-1].url}

    def bring(stage: Stage) -> None:
        valkey[-1].stop()
        stage.send(_to("ok.example"))

    return Scenario("redis", "Valkey stopped", prepare, bring, "Redis says")


def _database() -> Scenario:
    def bring(stage: Stage) -> None:
        stage.send(_to("ok.example", 5))
        stop = threading.Event()
        url = stage.system.env.get("DATABASE_URL", "")
        lock = partial(_lock_postgres, url) if url else partial(_lock_sqlite, stage.system.home)
        thread = threading.Thread(target=lock, args=(stop,), daemon=True)
        thread.start()
        stage.stack.callback(thread.join, 30)
        stage.stack.callback(stop.set)

    return Scenario(
        "database", "somebody locks its tables, four seconds at a time", _plain(), bring, "A small write took"
    )


def _lock_sqlite(home: Path, stop: threading.Event) -> None:
    with contextlib.closing(sqlite3.connect(home / "mailweir.sqlite3", timeout=30)) as own:
        while not stop.is_set():
            own.execute("BEGIN IMMEDIATE")
            stop.wait(4)
            own.rollback()
            stop.wait(0.4)


def _lock_postgres(url: str, stop: threading.Event) -> None:
    with psycopg.connect(url, autocommit=True) as own:
        while not stop.is_set():
            with contextlib.suppress(psycopg.errors.DeadlockDetected), own.transaction():
                own.execute("LOCK TABLE queueapp_bookmark, queueapp_delivery IN EXCLUSIVE MODE")
                stop.wait(4)
            stop.wait(0.4)


def _disk() -> Scenario:
    def prepare(stack: contextlib.ExitStack, folder: Path) -> dict[str, str]:
        home = folder / "h"
        home.mkdir(mode=0o700)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300m,mode=700", "tmpfs", str(home)], check=True)
        stack.callback(subprocess.run, ["umount", "-l", str(home)], check=False)
        return {}

    def bring(stage: Stage) -> None:
        usage = os.statvfs(stage.system.home)
        left = usage.f_bavail * usage.f_frsize
        (stage.system.home / "ballast").write_bytes(bytes(left - 40_000_000))
        stage.send(_to("ok.example", 5))

    return Scenario(
        "disk",
        "40 MB are left on the disk of the home (a small tmpfs)",
        prepare,
        bring,
        "Free at MAILWEIR_HOME",
        why_not=lambda: "" if os.geteuid() == 0 else "it needs root",
    )


def _flowing() -> Scenario:
    def bring(stage: Stage) -> None:
        stage.send(_to("ok.example", 40))
        time.sleep(1)

    return Scenario("flowing", "everything is taken", _plain(), bring)


SCENES: dict[str, Callable[[], Scenario]] = {
    "receiver-down": _down,
    "receiver-slow": _slow,
    "connections": lambda: _says(
        "too_many_connections", "a receiver counts connections",
        "421 4.7.0 mx.said.test Error: too many connections from 127.0.0.1", "too many connections",
    ),
    "greylisting": lambda: _says(
        "greylisting", "a receiver greylists",
        "450 4.2.0 Greylisted, see https://postgrey.said.test/", "Greylisted",
    ),
    "rate-limit": lambda: _says(
        "rate_limit", "a receiver limits our rate",
        "421 4.7.28 Our system has detected an unusual rate of unsolicited mail", "unusual rate",
    ),
    "mailbox-full": lambda: _says(
        "mailbox_full", "mailboxes are full", "452 4.2.2 Mailbox over quota", "over quota",
    ),
    "blocklist": lambda: _says(
        "blocklist", "a receiver blocks our address",
        "554 5.7.1 Service unavailable; Client host [127.0.0.1] blocked using zen.spamhaus.org",
        "zen.spamhaus.org",
    ),
    "authentication": _authentication,
    "content": lambda: _says(
        "content", "a receiver refuses content", "550 5.7.1 Message rejected as spam", "as spam",
    ),
    "reverse-dns": _reverse,
    "tls": lambda: _says(
        "tls", "a receiver offers no TLS, which we demand", "", "TLS", MAILWEIR_TLS="required",
    ),
    "dns": _dns,
    "name-servers": _name_servers,
    "port-25": _port25,
    "flood": _flood,
    "campaign": _campaign,
    "bad-list": _bad_list,
    "suspended": _suspended,
    "held": _held,
    "own-limit": _own_limit,
    "no-workers": _no_workers,
    "stalled": _stalled,
    "redis": _redis,
    "database": _database,
    "disk": _disk,
    "flowing": _flowing,
}  # fmt: skip
