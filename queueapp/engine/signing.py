"""The DKIM keys of this process: looked up by domain, parsed once, asked for anew every few seconds.

Promises: a key that was activated or retired is used, or used no more, after KNOWN_FOR seconds in every
process. A mail whose domain has an active key never leaves without its signature.
Failure: `CannotSign` where an active key can't be opened; the mail then waits.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from queueapp.mail.dkim import KeyUnusable, SigningKey, domains_of, sign
from queueapp.models import DkimKey
from queueapp.models.sealed import SealBroken

KNOWN_FOR = 5.0
_MAX_DOMAINS = 50_000
_Keys = tuple[SigningKey, ...]


class CannotSign(Exception):
    """An active key can't be used; the text is for people and holds nothing of the key."""


class Signer:
    """For the database thread of one process."""

    def __init__(self) -> None:
        self._by_domain: dict[str, tuple[float, list[DkimKey]]] = {}
        self._opened: dict[int, SigningKey] = {}
        self._has_keys = (0.0, False)

    @property
    def has_keys(self) -> bool:
        """Whether there is an active key at all: else nobody needs to look for a mail's domain."""
        if self._has_keys[0] <= time.monotonic():
            self._has_keys = time.monotonic() + KNOWN_FOR, DkimKey.objects.active().exists()
        return self._has_keys[1]

    def learn(self, domains: Iterable[str]) -> None:
        """Look up the keys of all these in one query, where they are not known."""
        now = time.monotonic()
        wanted = {each for each in domains if self._by_domain.get(each, (0.0,))[0] <= now}
        if not wanted:
            return
        if len(self._by_domain) > _MAX_DOMAINS:
            self._by_domain.clear()
        found: dict[str, list[DkimKey]] = {each: [] for each in wanted}
        # RSA before Ed25519: readers that know only the older one may stop at the first.
        for key in DkimKey.objects.active().filter(domain__in=wanted).order_by("-algorithm"):
            found[key.domain].append(key)
        self._by_domain.update((domain, (now + KNOWN_FOR, keys)) for domain, keys in found.items())

    def signatures(self, domains: list[str], head: bytes, rest: bytes) -> bytes:
        """By the keys of the first of these domains that has any; b"" where none has. Raises CannotSign."""
        for domain in domains:
            rows = self._by_domain.get(domain, (0.0, []))[1]
            if rows:
                return sign(head, rest, [self._open(row) for row in rows], int(time.time()))
        return b""

    def _open(self, row: DkimKey) -> SigningKey:
        if row.pk not in self._opened:
            try:
                self._opened[row.pk] = row.opened()
            except (SealBroken, KeyUnusable) as error:
                raise CannotSign(
                    f"the DKIM key {row.selector} of {row.domain} can't be opened ({error}): bring back the "
                    f"secret key that it was made under, or rotate it (manage.py dkim rotate {row.domain})"
                ) from None
        return self._opened[row.pk]


_signer = Signer()


def forget() -> None:
    """Ask anew; for tests, which take rows back."""
    global _signer
    _signer = Signer()


def signed(mails: dict[int, tuple[bytes, bytes, str]]) -> dict[int, bytes | CannotSign]:
    """Message id to (header block, rest, envelope sender) in; the whole mails with their signatures out.

    Empties `mails` as it goes, so that large ones are not in memory twice for longer than needed.
    """
    domains: dict[int, list[str]] = {}
    if _signer.has_keys:
        domains = {pk: domains_of(head, sender) for pk, (head, _, sender) in mails.items()}
        _signer.learn(each for some in domains.values() for each in some)
    done: dict[int, bytes | CannotSign] = {}
    for pk in list(mails):
        head, rest, _ = mails.pop(pk)
        try:
            done[pk] = b"".join((_signer.signatures(domains.get(pk, []), head, rest), head, rest))
        except CannotSign as error:
            done[pk] = error
    return done
