"""What a list's answer means (RFC 5782 section 2.1): listed, clean, unknown or error. Pure.

Only answers in 127/8 count. 127.255.255.x says of the question, not of the target; 127.0.0.1 is no listing
anywhere that does not say so. Any other answer is somebody in between (a hijacked NXDOMAIN).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address

from queueapp.watch.blocklists.lists import SEVERITIES, Blocklist

# As Spamhaus defined them and others took over.
_REFUSALS = {
    252: "the name that was asked for is misspelt",
    253: "the key is not valid",
    254: "it refuses this name server, because anybody may use it (a public resolver): "
    "set MAILWEIR_BLOCKLIST_RESOLVER to one of your own",
    255: "it got too many questions from this name server: ask by one of your own, or by a key",
}
_MOST_CODES = 8


@dataclass(frozen=True, slots=True)
class Reading:
    """`codes`: the answers. `n_servers`: how many said the same. `error` explains unknown and error."""

    state: str
    codes: tuple[str, ...] = ()
    severity: str = ""
    meaning: str = ""
    reason: str = ""
    error: str = ""
    n_servers: int = 1


CLEAN = Reading("clean")


def unknown(why: str) -> Reading:
    return Reading("unknown", error=why)


def error(why: str, codes: Sequence[str] = ()) -> Reading:
    return Reading("error", tuple(codes), error=why)


def read(blocklist: Blocklist, addresses: Sequence[str]) -> Reading:
    """From the A records of an answer; none is clean."""
    found = sorted({IPv4Address(each) for each in addresses})
    if not found:
        return CLEAN
    ours = [each for each in found if each.packed[0] == 127]
    if not ours:
        return error(
            f"the answer {found[0]} is no answer of a blocklist: the zone is gone, or a name server between "
            "invents answers",
            [str(each) for each in found[:_MOST_CODES]],
        )
    codes = [str(each) for each in ours[:_MOST_CODES]]
    for each in ours:
        if refusal := _refusal(blocklist, each):
            return error(f"{each}: {refusal}", codes)
    senses = [
        sense for each in ours if str(each) not in blocklist.clean for sense in _senses(blocklist, each)
    ]
    if not senses:
        return replace(CLEAN, codes=tuple(codes))
    severity = min((severity for severity, _ in senses), key=SEVERITIES.index)
    meaning = "; ".join(dict.fromkeys(meaning for _, meaning in senses))
    return Reading("listed", tuple(codes), severity, meaning[:500])


def _refusal(blocklist: Blocklist, address: IPv4Address) -> str:
    code, octets = str(address), address.packed
    if octets[1:3] == b"\xff\xff":
        return _REFUSALS.get(octets[3], "it says that the question is wrong")
    if code in blocklist.errors:
        return blocklist.errors[code]
    if code == "127.0.0.1" and code not in blocklist.codes and code not in blocklist.clean:
        return "lists don't list by this answer; some refuse a name server by it"
    return ""


def _senses(blocklist: Blocklist, address: IPv4Address) -> list[tuple[str, str]]:
    if str(address) in blocklist.codes:
        return [blocklist.codes[str(address)]]
    last = address.packed[3]
    if found := [sense for bit, sense in blocklist.bits.items() if last & bit]:
        return found
    return [(blocklist.severity, f"listed, by the code {address}")]
