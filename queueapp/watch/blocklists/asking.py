"""Asks lists by DNS, a few pairs at a time: tests the list first, looks twice by a second name server where
something changes, and fetches the reason.

Promises: at most AT_ONCE pairs at a time; each question ends within TIMEOUT, by however many name servers;
no exception but cancellation; texts come back cleaned, bounded and without keys. Knows no database.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import dns.resolver

from queueapp.conf import Conf
from queueapp.transports.smtp.lookup import Found, Lookup, Status
from queueapp.watch.blocklists import answer
from queueapp.watch.blocklists.answer import Reading
from queueapp.watch.blocklists.lists import Blocklist, name_servers
from queueapp.watch.blocklists.names import hidden, query_name

AT_ONCE = 4
TIMEOUT = 3.0
GOOD_FOR = timedelta(days=1)
"""How long a list whose test entries were right is believed."""
BAD_FOR = timedelta(hours=1)
UNKNOWN_FOR = timedelta(minutes=5)
_MOST_REASON = 1000
_MOST_SERVERS = 3
OK = "ok"
_COUNT = ("listed", "clean")


@dataclass(frozen=True, slots=True)
class Pair:
    """`holds`: it is listed, and that is confirmed."""

    blocklist: Blocklist
    target: str
    kind: str
    holds: bool = False


@dataclass(frozen=True, slots=True)
class Tested:
    """`result`: ok, error or unknown."""

    result: str
    error: str
    at: datetime

    def stands(self, now: datetime) -> bool:
        stands_for = {OK: GOOD_FOR, "error": BAD_FOR}.get(self.result, UNKNOWN_FOR)
        return timedelta(0) <= now - self.at < stands_for


class Asker:
    """For one batch, in one event loop. `tests`: what is known by list and kind; `fresh`: what was learnt."""

    def __init__(self, settings: Conf, tests: Mapping[tuple[str, str], Tested], now: datetime) -> None:
        self._settings, self._known, self._now = settings, tests, now
        servers = name_servers(settings)[:_MOST_SERVERS] or _system()
        # The time-out is for all of them together, so that a list that hangs can't fill a batch.
        self._lookups = [Lookup([server], TIMEOUT / len(servers)) for server in servers]
        self._places = asyncio.Semaphore(AT_ONCE)
        self._testing: dict[tuple[str, str], asyncio.Task[Tested]] = {}
        self.fresh: dict[tuple[str, str], Tested] = {}

    async def ask(self, pair: Pair) -> Reading:
        async with self._places:
            tested = await self._tested(pair)
            if tested.result != OK:
                return Reading(tested.result, error=tested.error)
            reading, server = await self._look(pair.blocklist, pair.target, pair.kind)
            if reading.state == "listed" and not pair.holds:
                tested = await self._tested(pair, is_anew=True)
                if tested.result != OK:
                    return Reading(tested.result, error=tested.error)
            if _changes(pair, reading):
                reading = await self._second(pair, reading, server)
            if reading.state == "listed":
                reading = replace(reading, reason=await self._reason(pair, server))
            return reading

    async def _look(self, blocklist: Blocklist, target: str, kind: str, but: int = -1) -> tuple[Reading, int]:
        """By the first name server whose answer counts, `but` one; else what the first of them said."""
        name, said = query_name(blocklist, target, kind, self._settings), []
        for server, lookup in enumerate(self._lookups):
            if server != but:
                reading = self._read(blocklist, await lookup.find(name, "A"))
                if reading.state in _COUNT:
                    return reading, server
                said.append((reading, server))
        return min(said, key=lambda each: each[0].state == "unknown")

    def _read(self, blocklist: Blocklist, found: Found) -> Reading:
        if found.status is Status.FAILED:
            return answer.unknown(hidden(found.why, self._settings))
        return answer.read(
            blocklist, [record.address for record in found.records if hasattr(record, "address")]
        )

    async def _second(self, pair: Pair, reading: Reading, server: int) -> Reading:
        if len(self._lookups) < 2:
            return reading
        other, _ = await self._look(pair.blocklist, pair.target, pair.kind, but=server)
        return replace(reading, n_servers=2) if other.state == reading.state else reading

    async def _reason(self, pair: Pair, server: int) -> str:
        name = query_name(pair.blocklist, pair.target, pair.kind, self._settings)
        found = await self._lookups[server].find(name, "TXT")
        strings = [b"".join(getattr(record, "strings", ())) for record in found.records]
        return cleaned(" ".join(each.decode("utf-8", "replace") for each in strings[:8]), self._settings)

    async def _tested(self, pair: Pair, *, is_anew: bool = False) -> Tested:
        key = (pair.blocklist.name, pair.kind)
        known = self.fresh.get(key) or (None if is_anew else self._known.get(key))
        if known and known.stands(self._now):
            return known
        if key not in self._testing:
            self._testing[key] = asyncio.ensure_future(self._test(pair.blocklist, pair.kind))
        self.fresh[key] = await asyncio.shield(self._testing[key])
        return self.fresh[key]

    async def _test(self, blocklist: Blocklist, kind: str) -> Tested:
        """RFC 5782 section 5: one entry must be there, and one must not."""
        listed, unlisted = blocklist.test_entries(kind)
        for target, wanted in (listed, "listed"), (unlisted, "clean"):
            reading, _ = await self._look(blocklist, target, kind)
            if reading.state in ("unknown", "error"):
                return Tested(reading.state, reading.error, self._now)
            if reading.state != wanted:
                return Tested("error", _why_bad(wanted), self._now)
        return Tested(OK, "", self._now)


def cleaned(text: str, settings: Conf) -> str:
    """One bounded line of printable characters, without keys: a stranger wrote it."""
    plain = "".join(char if char.isprintable() else " " for char in text[: 4 * _MOST_REASON])
    return hidden(" ".join(plain.split()), settings)[:_MOST_REASON]


def _changes(pair: Pair, reading: Reading) -> bool:
    """Whether a second look decides something."""
    return (reading.state == "listed" and not pair.holds) or (reading.state == "clean" and pair.holds)


def _why_bad(wanted: str) -> str:
    if wanted == "listed":
        return "the list is dead: its own test entry is not listed"
    return "the list is broken: it lists what can't be listed, and so perhaps everything"


def _system() -> list[str]:
    try:
        servers = [str(each) for each in dns.resolver.Resolver().nameservers]
    except dns.resolver.NoResolverConfiguration:
        servers = []
    return servers[:_MOST_SERVERS] or ["127.0.0.1"]
