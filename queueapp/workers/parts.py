"""What each part runs. `up` runs them under the supervisor, the single commands run one of them.

A part is a function that takes `ready`, which it calls when it accepts work, and returns when it
was told to stop by SIGTERM or SIGINT. The web server is named by its dotted path: nothing here may
import the dashboard.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import socket
from collections.abc import Callable, Coroutine
from importlib import import_module
from typing import Any

from django.utils.module_loading import import_string

from queueapp.conf import Conf
from queueapp.workers import listening, schedule, valkey
from queueapp.workers.process import Ready
from queueapp.workers.supervisor import Part

WEB = "dashboard.web.serve"
# What the parts need, imported once before the fork, so that no child has to.
PRELOAD = (
    "dashboard.asgi",
    "dashboard.web",
    "queueapp.ingest.smtpd",
    "queueapp.sandbox.run",
    "queueapp.workers.worker",
    "queueapp.workers.jobs",
    "queueapp.engine.runner",
    "queueapp.engine.reaper",
    "queueapp.engine.prune",
    "queueapp.operations.run",
    "queueapp.watch.pulse",
    "queueapp.watch.alerts.look",
    "queueapp.watch.notify.send",
    "queueapp.watch.blocklists.run",
)
RUNNERS = ("runners",)
OPERATIONS = ("operations",)
log = logging.getLogger(__name__)


def preload() -> None:
    """A module that can't be imported is told by the part that needs it, when that starts."""
    for name in PRELOAD:
        try:
            import_module(name)
        except Exception:
            log.debug("%s was not imported before the fork", name, exc_info=True)


def _finish(result: Coroutine[Any, Any, Any] | None) -> None:
    if asyncio.iscoroutine(result):
        import uvloop

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(result)


def web(sock: socket.socket) -> Callable[[Ready], None]:
    def run(ready: Ready) -> None:
        _finish(import_string(WEB)(sock, ready))

    return run


def smtpd(conf: Conf, sock: socket.socket) -> Callable[[Ready], None]:
    def run(ready: Ready) -> None:
        from queueapp.ingest import smtpd as server
        from queueapp.workers.logins import Logins

        _finish(server.serve(sock, ready=lambda _: ready(), check_login=Logins().check))

    return run


def sandbox(conf: Conf, sock: socket.socket) -> Callable[[Ready], None]:
    def run(ready: Ready) -> None:
        from queueapp.sandbox import run as server

        store = server.open_store(conf.home, conf.sandbox_keep)
        options = server.SandboxOptions(hostname=conf.host, max_size=conf.max_size)
        _finish(server.serve(sock, store, options, ready=lambda _: ready()))

    return run


def scheduler(ready: Ready) -> None:
    schedule.run(ready)


def watch(ready: Ready) -> None:
    others = {"alerts": schedule.alerting(), "notices": schedule.notifying()}
    schedule.run(ready, schedule.watching(), others)


def slot(conf: Conf, number: int) -> str:
    """The name of this machine's n-th worker; another home on the same machine has others."""
    place = hashlib.sha256(os.fsencode(conf.home)).hexdigest()[:8]
    return f"{socket.gethostname()}-{place}-{number}"


def worker(conf: Conf, number: int, queues: tuple[str, ...] = RUNNERS) -> Callable[[Ready], None]:
    def run(ready: Ready) -> None:
        from django_rq.workers import get_worker

        from queueapp.workers.worker import Worker

        made = get_worker(*queues, worker_class=Worker, slot=slot(conf, number), ready=ready)
        made.work(logging_level="WARNING")

    return run


def embedded_valkey(conf: Conf, lock: int = -1) -> Part:
    return Part(
        "valkey",
        valkey.run(conf.home, conf.valkey_socket, lock),
        stage=3,
        address=str(conf.valkey_socket),
        is_ready=lambda: valkey.answers(conf.valkey_socket),
    )


def all_parts(conf: Conf, http: socket.socket, smtp: socket.socket, box: socket.socket) -> list[Part]:
    """In the order of starting: what receives comes before what sends."""
    return [
        Part("sandbox", sandbox(conf, box), 2, str(listening.address_of(box)), box),
        Part("web", web(http), 0, f"http://{listening.reachable(listening.address_of(http))}", http),
        Part("smtpd", smtpd(conf, smtp), 0, str(listening.address_of(smtp)), smtp),
        *(Part(f"worker-{n}", worker(conf, n), 1) for n in range(1, conf.workers + 1)),
        # One of its own, so that who deletes by the thousand waits for no runner, and none for them.
        *([Part("operator", worker(conf, 0, OPERATIONS), 1)] if conf.workers else []),
        Part("scheduler", scheduler, 0),
        # Last to start, and stopped with what takes mail in: what is missing then is no alarm.
        Part("watch", watch, 0),
    ]
