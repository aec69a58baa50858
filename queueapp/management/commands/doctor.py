"""`manage.py doctor`: what is wrong with this installation, and what to do about it;
`manage.py doctor route ADDRESS`: which way a mail would take, and what stands in it;
`manage.py doctor why [SCOPE]`: why mail waits."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from typing import Any

from django.core.management.base import CommandParser

from queueapp import conf
from queueapp.management.base import Command as Base
from queueapp.management.base import WrongUsage
from queueapp.management.columns import printable
from queueapp.management.doctor import keys, machine, network, route, stores, why
from queueapp.management.doctor.finding import Finding, fail


class Command(Base):
    help = "Checks database, Redis, workers, the way out, DNS, disk and clock; exit 1 if something is wrong."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "what", nargs="?", choices=["route", "why"], help="explain the way of a mail, or why mail waits"
        )
        parser.add_argument(
            "address", nargs="?", default="", help="route: its recipient; why: such as domain:example.com"
        )
        parser.add_argument("--from", dest="sender", metavar="SENDER", default="", help="route: its sender")
        parser.add_argument("--tag", action="append", default=[], help="route: a tag of it; more than once")
        parser.add_argument("--login", default="", help="route: the login or API key that submits it")
        parser.add_argument("--json", action="store_true", help="the findings as a JSON array")
        parser.add_argument("--to", metavar="DOMAIN", default="", help="whose MX port 25 is tried with")

    def run(self, **options: Any) -> int | None:
        if options["what"] == "why":
            return self._why(options)
        if options["what"]:
            return self._route(options)
        looks = (
            machine.home_folder,
            machine.disk,
            stores.database,
            stores.redis,
            machine.parts,
            stores.workers,
            stores.runners,
            network.names,
            partial(network.way_out, domain=options["to"]),
            keys.dkim,
            keys.routes,
            machine.certificate,
            machine.settings,
        )
        found = [each for look in looks for each in _looked(look)]
        if options["json"]:
            self.stdout.write(json.dumps([asdict(each) for each in found], indent=2))
        else:
            self._show(found)
        return 1 if any(each.level == "FAIL" for each in found) else None

    def _route(self, options: dict[str, Any]) -> int | None:
        if not options["address"]:
            raise WrongUsage("Name an address: manage.py doctor route ann@example.com")
        asked = route.Asked(options["address"], options["sender"], options["login"], options["tag"])
        try:
            found = route.explain(asked)
        except route.WrongAddress as error:
            raise WrongUsage(str(error)) from None
        if options["json"]:
            self.stdout.write(json.dumps([asdict(each) for each in found], indent=2))
        else:
            self._lines(found)
        return 1 if found[-1].level == "FAIL" else None

    def _why(self, options: dict[str, Any]) -> int | None:
        try:
            found = why.look(options["address"])
        except why.WrongScope as error:
            raise WrongUsage(str(error)) from None
        if options["json"]:
            self.stdout.write(json.dumps(found, indent=2))
        else:
            for line in why.lines(found):
                self.stdout.write(line)
        return 1 if why.is_bad(found) else None

    def _lines(self, found: list[Finding]) -> None:
        for each in found:
            self.stdout.write(f"{each.level:<4}  {each.name:<12} {printable(each.text)}")
            if each.advice:
                self.stdout.write(f"{'':<19}→ {printable(each.advice)}")

    def _show(self, found: list[Finding]) -> None:
        self._lines(found)
        n = sum(each.level == "FAIL" for each in found)
        self.stdout.write(f"{n} of {len(found)} checks failed." if n else "Nothing is broken.")


def _looked(look: Callable[[conf.Conf], Iterator[Finding]]) -> list[Finding]:
    """A check that breaks is a finding; it keeps the others from nothing."""
    try:
        return list(look(conf.current()))
    except Exception as error:
        name = getattr(look, "__name__", "way_out").replace("_", " ")
        return [fail(name, f"could not be checked: {error}", "Please report this as a defect.")]
