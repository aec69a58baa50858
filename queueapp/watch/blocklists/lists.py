"""The blocklists that are known (lists.toml), and which of them the settings choose.

`LISTS` is by name. A mistake in the file raises at import, so a broken list never goes unnoticed.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from queueapp import conf
from queueapp.conf import Conf
from queueapp.models import ListingKind

SEVERITIES = ("danger", "warning", "info")
"""The worst first."""
# RFC 5782 section 5; a domain list has TEST and never INVALID.
LISTED = {"ip4": "127.0.0.2", "ip6": "::ffff:7f00:2", "domain": "test"}
UNLISTED = {"ip4": "127.0.0.1", "ip6": "::ffff:7f00:1", "domain": "invalid"}
# Resolvers that anybody may use. Lists that forbid them answer wrongly or not at all.
_PUBLIC = frozenset(
    "8.8.8.8 8.8.4.4 2001:4860:4860::8888 2001:4860:4860::8844 1.1.1.1 1.0.0.1 2606:4700:4700::1111 "
    "2606:4700:4700::1001 9.9.9.9 149.112.112.112 2620:fe::fe 208.67.222.222 208.67.220.220".split()
)


@dataclass(frozen=True, slots=True)
class Blocklist:
    """One list; the fields are explained in lists.toml. `is_asked` false: only replies tell of it."""

    name: str
    title: str
    kinds: tuple[str, ...]
    severity: str
    terms: str
    removal: str
    zone: str = ""
    keyed_zone: str = field(default="", repr=False)
    key: str = ""
    needs_key: bool = False
    is_default: bool = False
    is_public: bool = True
    needs_registration: bool = False
    is_asked: bool = True
    remark: str = ""
    codes: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    bits: Mapping[int, tuple[str, str]] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
    clean: frozenset[str] = frozenset()
    listed: Mapping[str, str] = field(default_factory=dict)
    unlisted: Mapping[str, str] = field(default_factory=dict)
    named: tuple[str, ...] = ()

    def test_entries(self, kind: str) -> tuple[str, str]:
        """What must be listed and what must not; "" where the list has no such entry."""
        return self.listed.get(kind, LISTED[kind]), self.unlisted.get(kind, UNLISTED[kind])


@dataclass(frozen=True, slots=True)
class Choice:
    """What the settings say. `lists`: those to ask; `why_not`: name to the reason of those that can't be."""

    lists: tuple[Blocklist, ...] = ()
    why_not: Mapping[str, str] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()

    @property
    def is_on(self) -> bool:
        return bool(self.lists or self.why_not)


def chosen(settings: Conf | None = None) -> Choice:
    """The lists in force."""
    settings = settings or conf.current()
    asked, left_out, unknown = _names(settings)
    lists, why_not = [], {}
    for name in (each for each in LISTS if each in asked and each not in left_out):
        reason = _why_not(LISTS[name], settings)
        if reason:
            why_not[name] = reason
        else:
            lists.append(LISTS[name])
    return Choice(tuple(lists), MappingProxyType(why_not), unknown)


def key_of(blocklist: Blocklist, settings: Conf) -> str:
    return dict(settings.blocklist_keys).get(blocklist.key, "") if blocklist.key else ""


def name_servers(settings: Conf) -> tuple[str, ...]:
    """Those of the lists, or those of the queue; () is the system's."""
    return tuple(str(each) for each in settings.blocklist_resolver or settings.dns)


def _names(settings: Conf) -> tuple[set[str], set[str], tuple[str, ...]]:
    words = settings.blocklists
    if words == ("no",):
        return set(), set(), ()
    asked = {word for word in words if not word.startswith("-") and word != "yes"}
    left_out = {word[1:] for word in words if word.startswith("-")}
    unknown = tuple(sorted((asked | left_out) - LISTS.keys()))
    if "yes" in words or not asked:
        keys = dict(settings.blocklist_keys)
        asked |= {each.name for each in LISTS.values() if each.is_default or each.key in keys}
    return asked, left_out, unknown


def _why_not(each: Blocklist, settings: Conf) -> str:
    if not each.is_asked:
        return "It can't be asked by DNS: it counts only where a receiver names it."
    has_key = bool(key_of(each, settings))
    if each.needs_key and not has_key:
        return f"It needs a key: set MAILWEIR_BLOCKLIST_KEYS={each.key}=…"
    public = [server for server in name_servers(settings) if _host(server) in _PUBLIC]
    if public and not each.is_public and not has_key:
        return (
            f"It refuses public name servers such as {public[0]}: "
            "set MAILWEIR_BLOCKLIST_RESOLVER to one of your own, or a key."
        )
    return ""


def _host(server: str) -> str:
    return server.rpartition(":")[0].strip("[]")


@cache
def _read() -> Mapping[str, Blocklist]:
    rows = tomllib.loads(Path(__file__).with_name("lists.toml").read_text())["list"]
    found = {row["name"]: _made(row) for row in rows}
    if len(found) != len(rows):
        raise ValueError("lists.toml has a name twice")
    return MappingProxyType(found)


def _made(row: dict[str, Any]) -> Blocklist:
    renamed = {
        "default": "is_default",
        "public": "is_public",
        "register": "needs_registration",
        "asked": "is_asked",
    }
    values: dict[str, Any] = {renamed.get(name, name): value for name, value in row.items()}
    values["codes"] = {code: _sense(row, sense) for code, sense in row.get("codes", {}).items()}
    values["bits"] = {int(bit): _sense(row, sense) for bit, sense in row.get("bits", {}).items()}
    values |= {name: tuple(row[name]) for name in ("kinds", "named") if name in row}
    made = Blocklist(**{**values, "clean": frozenset(row.get("clean", ()))})
    if not set(made.kinds) <= set(ListingKind.values) or made.severity not in SEVERITIES:
        raise ValueError(f"lists.toml: {made.name} has a kind or severity that is none")
    if made.is_asked and not (made.zone or (made.needs_key and made.keyed_zone)):
        raise ValueError(f"lists.toml: {made.name} has no zone")
    return made


def _sense(row: dict[str, Any], sense: Sequence[str]) -> tuple[str, str]:
    severity, meaning = sense
    if severity not in SEVERITIES:
        raise ValueError(f"lists.toml: {row['name']} has the severity {severity!r}")
    return severity, meaning


LISTS: Mapping[str, Blocklist] = _read()
