"""Whether an SPF record lets an address of ours send (RFC 7208): as far as it can be told without a mail.

Evaluates ip4, ip6, a, mx, include, redirect and all, within ten look-ups that ask the DNS (4.6.4).
`exists`, `ptr` and macros depend on the mail or on the receiver: a record that needs them is "not
known". Never raises: what can't be looked up is a result.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

MOST_LOOKUPS = 10
_DEPTH = 6
Ask = Callable[[str, str], list[str]]
"""(name, type) to the texts of its records, [] where there are none. Raises LookupError."""

PASS, FAIL, UNKNOWN = "pass", "fail", "unknown"
NONE, PERMANENT, TEMPORARY = "none", "permerror", "temperror"


@dataclass(slots=True)
class Look:
    ask: Ask
    n_lookups: int = 0
    why: str = ""


def records(ask: Ask, domain: str) -> list[str]:
    """Its SPF records; one is right."""
    return [text for text in ask(domain, "TXT") if text.lower().split(" ")[0] == "v=spf1"]


def check(ask: Ask, domain: str, address: str) -> tuple[str, str]:
    """(result, what is wrong in words); `fail` is: the address is not listed."""
    look = Look(ask)
    try:
        return _check(look, domain, address, 0), look.why
    except LookupError as error:
        return TEMPORARY, str(error)


def _check(look: Look, domain: str, address: str, depth: int) -> str:
    if depth > _DEPTH:
        look.why = "its includes go round in circles"
        return PERMANENT
    found = records(look.ask, domain)
    if len(found) != 1:
        look.why = f"{domain} has {len(found) or 'no'} SPF record{'s' if len(found) > 1 else ''}"
        return PERMANENT if found else NONE
    redirect, is_unknown = "", False
    for term in found[0].split()[1:]:
        if term.lower().startswith("redirect="):
            redirect = term[9:]
            continue
        if "=" in term.split(":")[0]:
            continue  # exp= and other modifiers
        sign, mechanism = (term[0], term[1:]) if term[0] in "+-~?" else ("+", term)
        result = _matches(look, mechanism, domain, address, depth)
        if look.n_lookups > MOST_LOOKUPS:
            look.why = f"it needs more than {MOST_LOOKUPS} look-ups, so receivers give it up"
            return PERMANENT
        if result == PERMANENT:
            return PERMANENT
        is_unknown |= result == UNKNOWN
        if result == PASS:
            return PASS if sign == "+" else _unless(FAIL, is_unknown)
    if redirect and "%" not in redirect:
        look.n_lookups += 1
        return _check(look, redirect, address, depth + 1)
    return _unless(FAIL, is_unknown or bool(redirect))


def _unless(result: str, is_unknown: bool) -> str:
    return UNKNOWN if is_unknown else result


def _matches(look: Look, mechanism: str, domain: str, address: str, depth: int) -> str:
    name, _, value = mechanism.partition(":")
    name, _, length = name.lower().partition("/")
    if name == "all":
        return PASS
    if name in ("ip4", "ip6"):
        return _in_network(look, value, address)
    value, _, prefix = value.partition("/")
    if "%" in value or name in ("exists", "ptr"):
        look.n_lookups += 1
        return UNKNOWN
    target = value or domain
    if name == "include":
        look.n_lookups += 1
        inner = _check(look, target, address, depth + 1)
        if inner in (NONE, PERMANENT):
            look.why = look.why or f"its include:{target} has no SPF record"
            return PERMANENT
        return inner
    if name in ("a", "mx"):
        look.n_lookups += 1
        hosts = [target] if name == "a" else [text.split()[-1] for text in look.ask(target, "MX")][:10]
        return _in_hosts(look, hosts, address, prefix or length)
    look.why = f"it has the unknown mechanism {mechanism[:60]!r}"
    return PERMANENT


def _in_network(look: Look, value: str, address: str) -> str:
    try:
        return PASS if ip_address(address) in ip_network(value, strict=False) else FAIL
    except ValueError:
        look.why = f"{value[:60]!r} is no network"
        return PERMANENT


def _in_hosts(look: Look, hosts: list[str], address: str, prefix: str) -> str:
    own = ip_address(address)
    four, _, six = prefix.partition("//")
    bits = six if own.version == 6 else four
    length = int(bits) if bits.isdigit() and int(bits) <= own.max_prefixlen else own.max_prefixlen
    for host in hosts:
        for text in look.ask(host.rstrip("."), "AAAA" if own.version == 6 else "A"):
            if own in ip_network(f"{text}/{length}", strict=False):
                return PASS
    return FAIL
