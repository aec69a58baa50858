"""What our own records say and should say: SPF, DKIM and DMARC of a sender domain, PTR of an address of ours.

Functions over an `ask` that looks up one name, so that they can be tried with a DNS server of a test.
All that comes from the DNS is a stranger's text: cut, and escaped by whoever shows it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from ipaddress import ip_address

import dns.reversename

from queueapp.watch.diagnosis import spf
from queueapp.watch.diagnosis.facts import Record
from queueapp.watch.diagnosis.spf import Ask

_LONGEST = 300
_POLICIES = ("none", "quarantine", "reject")


def of_domain(
    ask: Ask, domain: str, addresses: Iterable[str], keys: Iterable[tuple[str, str]]
) -> list[Record]:
    """`addresses` of ours that the world sees; `keys`: (name, text) of the
    records of our active DKIM keys."""
    found = [_told(partial(_spf, ask, domain, list(addresses)), domain, "SPF")]
    found += [_told(partial(_dkim, ask, name, text), name, "DKIM") for name, text in keys]
    if len(found) == 1:
        found.append(_no_key(domain))
    return [*found, _told(partial(_dmarc, ask, domain), domain, "DMARC")]


def of_address(ask: Ask, address: str, ehlo: str) -> Record:
    """PTR, and that the name leads back (RFC 1912 2.1), and that it is the name that we say."""
    return _told(partial(_ptr, ask, address, ehlo), address, "PTR")


def is_private(address: str) -> bool:
    """Behind a NAT: the world sees another one. Loopback is what tests use, and nobody else."""
    found = ip_address(address)
    return found.is_private and not found.is_loopback and not _is_example(address)


def _is_example(address: str) -> bool:
    """Networks of RFC 5737 and 3849, which documents and tests use like public ones."""
    return address.startswith(("192.0.2.", "198.51.100.", "203.0.113.", "2001:db8:"))


def _told(look: Callable[[], Record], name: str, what: str) -> Record:
    try:
        return look()
    except LookupError as error:
        return Record(what, name, "", f"not known: {error}", "")


def _spf(ask: Ask, domain: str, addresses: list[str]) -> Record:
    found = spf.records(ask, domain)
    public = [each for each in addresses if not is_private(each)]
    listed = " ".join(f"ip{ip_address(each).version}:{each}" for each in public) or "ip4:<our address>"
    if not found:
        return Record("SPF", domain, "", "there is none", f"v=spf1 {listed} ~all")
    shown = found[0][:_LONGEST]
    if len(found) > 1:
        return Record(
            "SPF", domain, " · ".join(found)[:_LONGEST], "there are several: receivers take none", shown
        )
    for address in public:
        result, why = spf.check(ask, domain, address)
        if result == spf.FAIL:
            wrong = f"it does not list our address {address}"
            return Record("SPF", domain, shown, wrong, _with(shown, address))
        if result in (spf.PERMANENT, spf.NONE):
            return Record("SPF", domain, shown, f"receivers can't use it: {why}", f"v=spf1 {listed} ~all")
        if result == spf.TEMPORARY:
            return Record("SPF", domain, shown, f"not known: {why}")
    return Record("SPF", domain, shown)


def _with(record: str, address: str) -> str:
    """The record with our address in front of what ends it."""
    first, *rest = record.split()
    return " ".join([first, f"ip{ip_address(address).version}:{address}", *rest])


def _no_key(domain: str) -> Record:
    return Record(
        "DKIM", domain, "", "mail of this domain is not signed: it has no active key here",
        f"manage.py dkim create {domain}, then publish what it prints",
    )  # fmt: skip


def _dkim(ask: Ask, name: str, should: str) -> Record:
    texts, public = ask(name, "TXT"), _tags(should)["p"]
    if not texts:
        return Record("DKIM", name, "", "there is none, so no signature can be checked", should)
    tags = [_tags(text) for text in texts]
    if any(each.get("p") == public for each in tags):
        return Record("DKIM", name, texts[0][:_LONGEST])
    wrong = (
        "the key is revoked"
        if any(each.get("p") == "" for each in tags)
        else "it holds another key than ours"
    )
    return Record("DKIM", name, texts[0][:_LONGEST], wrong, should)


def _dmarc(ask: Ask, domain: str) -> Record:
    """Of the domain, else of the domain above it (RFC 7489 6.6.3, without the list of public suffixes)."""
    labels = domain.split(".")
    names = [".".join(labels[place:]) for place in range(max(1, len(labels) - 1))]
    for name in names[:1] + names[-1:]:
        found = [
            text
            for text in ask(f"_dmarc.{name}", "TXT")
            if text.lower().replace(" ", "").startswith("v=dmarc1")
        ]
        if len(found) > 1:
            return Record(
                "DMARC", f"_dmarc.{name}", found[0][:_LONGEST], "there are several: receivers take none", ""
            )
        if found:
            is_right = _tags(found[0].lower()).get("p") in _POLICIES
            wrong = "" if is_right else "it has no policy (p=none, quarantine or reject)"
            return Record(
                "DMARC", f"_dmarc.{name}", found[0][:_LONGEST], wrong, "" if is_right else "v=DMARC1; p=none"
            )
    return Record(
        "DMARC", f"_dmarc.{domain}", "", "there is none", f"v=DMARC1; p=none; rua=mailto:dmarc@{domain}"
    )


def _ptr(ask: Ask, address: str, ehlo: str) -> Record:
    if is_private(address):
        return Record("PTR", address, "", "", "")
    names = [
        name.rstrip(".").lower() for name in ask(dns.reversename.from_address(address).to_text(True), "PTR")
    ]
    rdtype = "AAAA" if ip_address(address).version == 6 else "A"
    should = f"{ehlo}, with an {rdtype} record {address}"
    if not names:
        return Record("PTR", address, "", "there is none", should)
    shown = ", ".join(names)[:_LONGEST]
    back = [name for name in names if address in ask(name, rdtype)]
    if not back:
        return Record("PTR", address, shown, f"{names[0]} does not lead back to {address}", should)
    if ehlo.lower() not in back:
        return Record("PTR", address, shown, f"we say {ehlo} in EHLO, which is another name", should)
    return Record("PTR", address, shown)


def _tags(text: str) -> dict[str, str]:
    """name=value pairs, without the white space that values may hold (RFC 6376 3.2)."""
    pairs = (part.partition("=") for part in text.split(";"))
    return {name.strip(): "".join(value.split()) for name, _, value in pairs}
