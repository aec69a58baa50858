"""`manage.py doctor`: what is wrong with this installation, and what to do about it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from typing import Any

from django.core.management.base import CommandParser

from queueapp import conf
from queueapp.management.base import Command as Base
from queueapp.management.columns import printable
from queueapp.management.doctor import keys, machine, network, stores
from queueapp.management.doctor.finding import Finding, fail


class Command(Base):
    help = "Checks database, Redis, workers, the way out, DNS, disk and clock; exit 1 if something is wrong."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="the findings as a JSON array")
        parser.add_argument("--to", metavar="DOMAIN", default="", help="whose MX port 25 is tried with")

    def run(self, **options: Any) -> int | None:
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
            machine.certificate,
            machine.settings,
        )
        found = [each for look in looks for each in _looked(look)]
        if options["json"]:
            self.stdout.write(json.dumps([asdict(each) for each in found], indent=2))
        else:
            self._show(found)
        return 1 if any(each.level == "FAIL" for each in found) else None

    def _show(self, found: list[Finding]) -> None:
        for each in found:
            self.stdout.write(f"{each.level:<4}  {each.name:<12} {printable(each.text)}")
            if each.advice:
                self.stdout.write(f"{'':<19}→ {printable(each.advice)}")
        n = sum(each.level == "FAIL" for each in found)
        self.stdout.write(f"{n} of {len(found)} checks failed." if n else "Nothing is broken.")


def _looked(look: Callable[[conf.Conf], Iterator[Finding]]) -> list[Finding]:
    """A check that breaks is a finding; it keeps the others from nothing."""
    try:
        return list(look(conf.current()))
    except Exception as error:
        name = getattr(look, "__name__", "way_out").replace("_", " ")
        return [fail(name, f"could not be checked: {error}", "Please report this as a defect.")]
