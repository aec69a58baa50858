"""`manage.py demo`: a living page in a minute. Real traffic into the system that runs in this home.

It never sends to the world: it refuses unless every one of its domains goes to the sandbox, and all
of them end in .test anyway.
"""

from __future__ import annotations

import ipaddress
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.core.management.base import CommandParser

from queueapp import conf
from queueapp.access import actions
from queueapp.engine.ways import matches
from queueapp.management.access_command import actor
from queueapp.management.base import Command as Base
from queueapp.management.base import Failed, WrongUsage
from queueapp.management.demo.scenes import SCENES, all_domains
from queueapp.management.demo.sending import Target, Traffic
from queueapp.models import ApiKey, RecipientDomain, Route, SmtpLogin
from queueapp.workers import runfile

MOST_RATE, LONGEST = 1000.0, 3600.0


class Command(Base):
    help = "Sends mixed traffic into the running system, to sandbox domains that behave well and badly."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--rate", type=float, default=10.0, help="mails a second, at most 1000 (default 10)"
        )
        parser.add_argument(
            "--for", type=float, default=60.0, dest="seconds", help="seconds, at most 3600 (60)"
        )
        parser.add_argument("--log", metavar="FILE", help="write each recipient as a line of JSON")
        parser.add_argument("--seed", type=int, help="the same seed chooses the same recipients")

    def run(self, **options: Any) -> int | None:
        rate, seconds = options["rate"], options["seconds"]
        _check("--rate", rate, MOST_RATE)
        _check("--for", seconds, LONGEST)
        found = self._running()
        with _log(options["log"]) as note, _way_in(found) as target:
            traffic = Traffic(target, rate, seconds, note, options["seed"])
            self._watch(traffic)
        self._tell(traffic)
        return 1 if traffic.failed and not traffic.n_mails else None

    def _running(self) -> dict[str, Any]:
        settings = conf.current()
        found = runfile.read(settings)
        if not found.get("smtp"):
            raise Failed(
                f"Mailweir does not run in MAILWEIR_HOME={settings.home}. Start `manage.py up` there first."
            )
        route = found.get("route", settings.route.kind)
        if route != "sandbox":
            raise Failed(
                f"The demo sends to the sandbox only, and MAILWEIR_ROUTE is {route!r}. Set it to sandbox."
            )
        routes = list(Route.objects.order_by("position", "id"))
        for domain in all_domains():
            first = next((row for row in routes if matches(row.pattern, domain)), None)
            if first and first.kind != "sandbox":
                raise Failed(f"The demo sends to the sandbox only, and the route {first} takes {domain}.")
        led = RecipientDomain.objects.filter(name__in=all_domains(), route__isnull=False)
        for row in led.exclude(route__kind="sandbox").select_related("route"):
            raise Failed(f"The demo sends to the sandbox only, and {row} was led to the route {row.route}.")
        return found

    def _watch(self, traffic: Traffic) -> None:
        is_interrupted: list[int] = []
        before = signal.signal(signal.SIGINT, lambda number, frame: is_interrupted.append(number))
        ended = signal.signal(signal.SIGTERM, lambda number, frame: is_interrupted.append(number))
        began = time.monotonic()
        try:
            traffic.start()
            n = 0
            while traffic.is_running and not is_interrupted:
                n += 1
                while time.monotonic() < began + n and traffic.is_running and not is_interrupted:
                    time.sleep(0.05)
                self._progress(traffic, time.monotonic() - began)
            traffic.stop()
            traffic.join(35.0)
            self.took = time.monotonic() - began
        finally:
            signal.signal(signal.SIGINT, before)
            signal.signal(signal.SIGTERM, ended)

    def _progress(self, traffic: Traffic, seconds: float) -> None:
        text = (
            f"{seconds:4.0f} s  {traffic.n_mails} mails  {traffic.n_mails / seconds:.1f}/s  "
            f"{traffic.n_octets / 1e6:.1f} MB  {sum(traffic.failed.values())} failed"
        )
        is_terminal = self.stdout.isatty()
        self.stdout.write(f"\r{text:<70}" if is_terminal else text, ending="" if is_terminal else "\n")
        self.stdout.flush()

    def _tell(self, traffic: Traffic) -> None:
        self.stdout.write(f"\n{'scenario':<10} {'sent':>7}  what the sandbox does with it")
        told = {scene.name: scene.happens for scene in SCENES}
        for name, happens in told.items():
            self.stdout.write(f"{name:<10} {traffic.sent[name]:>7}  {happens}")
        reached = traffic.n_mails / self.took if self.took else 0.0
        n = sum(traffic.sent.values())
        self.stdout.write(
            f"{'all':<10} {n:>7}  in {traffic.n_mails} mails, {self.took:.1f} s, {reached:.1f}/s"
        )
        for text, times in traffic.failed.most_common(5):
            self.stderr.write(f"not taken, {times} times: {text}")


def _check(name: str, value: float, most: float) -> None:
    if not 0 < value <= most:
        raise WrongUsage(f"{name} {value:g} is not allowed: above 0, at most {most:g}.")


@contextmanager
def _log(name: str | None) -> Iterator[Callable[[str], None]]:
    if not name:
        yield lambda line: None
        return
    try:
        Path(name).touch()
    except OSError as error:
        raise Failed(f"--log {name} can't be written ({error.strerror}).") from None
    with Path(name).open("w", buffering=1) as file:
        yield lambda line: print(line, file=file)


@contextmanager
def _way_in(found: dict[str, Any]) -> Iterator[Target]:
    """An API key and, where one is asked for, a login of this demo's own; both are gone afterwards."""
    name = f"demo-{int(time.time())}-{os.getpid()}"
    host, _, port = found["smtp"].rpartition(":")
    host = host.strip("[]")
    key, secret = actions.create_api_key(name, ["submit"], actor=actor())
    login, password = (None, "")
    if conf.current().smtp_login == "always" or not _is_loopback(host):
        login, password = actions.create_smtp_login(name, actor=actor())
    web = urlsplit(found.get("http", ""))
    at = (web.hostname, web.port) if web.hostname and web.port else None
    try:
        yield Target((host, int(port)), at, secret, login.name if login else "", password)
    finally:
        ApiKey.objects.filter(pk=key.pk).delete()
        if login:
            SmtpLogin.objects.filter(pk=login.pk).delete()


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
