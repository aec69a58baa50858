"""Which public blocklists are asked about us."""

from __future__ import annotations

import re
from dataclasses import dataclass

from queueapp.conf.places import addresses
from queueapp.conf.setting import setting
from queueapp.conf.texts import names
from queueapp.conf.values import Address


def chosen_lists(value: str) -> tuple[str, ...]:
    words = names(value.lower())
    is_fine = all(re.fullmatch(r"-?[a-z0-9][a-z0-9-]{0,63}", word) for word in words)
    if not words or not is_fine or ("no" in words and len(words) > 1):
        raise ValueError(
            "no, yes, or names of lists by commas, such as yes,-uceprotect-3 or spamhaus-zen,spamcop"
        )
    return words


def keys(value: str) -> tuple[tuple[str, str], ...]:
    """Each key is one label of a DNS name."""
    found = tuple(re.fullmatch(r"([a-z0-9-]{1,64})=([A-Za-z0-9_-]{4,63})", word) for word in names(value))
    if not all(found):
        raise ValueError(
            "NAME=KEY by commas, such as spamhaus=…,abusix=…; a key is 4 to 63 letters and digits"
        )
    return tuple((match[1], match[2]) for match in found if match)


@dataclass(frozen=True)
class Blocklists:
    blocklists: tuple[str, ...] = setting(
        "MAILWEIR_BLOCKLISTS",
        chosen_lists,
        "no",
        "no|yes|name,…",
        "Whether our addresses and domains are looked up in public blocklists, and in which.",
    )
    blocklist_resolver: tuple[Address, ...] = setting(
        "MAILWEIR_BLOCKLIST_RESOLVER",
        addresses,
        "",
        "HOST:PORT,…",
        "Name servers that ask the blocklists; empty is MAILWEIR_DNS, or the system's.",
    )
    blocklist_keys: tuple[tuple[str, str], ...] = setting(
        "MAILWEIR_BLOCKLIST_KEYS",
        keys,
        "",
        "NAME=KEY,…",
        "Keys of blocklists that want one, such as Spamhaus's DQS key: never shown.",
    )
    blocklist_targets: tuple[str, ...] = setting(
        "MAILWEIR_BLOCKLIST_TARGETS",
        names,
        "",
        "IP or domain,…",
        "What is looked up beside our own sources, names and domains: the public address behind a NAT.",
    )
