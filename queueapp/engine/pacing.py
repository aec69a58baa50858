"""Rates and the queue: how much of a domain a claim may take, and until when nobody claims of it.

A site or domain that has used up its rate for more than a moment gets `next_at`, and no claim looks
at it before: its mail waits in the queue, in its order, and not in a runner's hands. The row also
keeps a slow rate when Redis has forgotten it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Protocol

from django.db.models import Q

from queueapp import conf
from queueapp.engine.limits import in_hand
from queueapp.engine.routing import rate_of
from queueapp.models import RecipientDomain, Site


class Room:
    """How much of each domain fits into a claim, by its own rate and its site's."""

    def __init__(self) -> None:
        self.left: dict[str, int] = {}
        self.keys: dict[int, list[str]] = {}

    def takes(self, domain_id: int) -> bool:
        """Whether one more of this domain fits; then it is counted."""
        keys = self.keys.get(domain_id)
        if not keys:
            return True
        if any(self.left[key] <= 0 for key in keys):
            return False
        for key in keys:
            self.left[key] -= 1
        return True


class Limited(Protocol):
    """What is read of a domain: its own rate and its site's, as their rows have them."""

    @property
    def id(self) -> int: ...
    @property
    def site_id(self) -> int | None: ...
    @property
    def rate(self) -> str: ...
    @property
    def site_rate(self) -> str | None: ...


def room(domains: Iterable[Limited]) -> Room:
    """For one claim."""
    made, current = Room(), conf.current()
    for domain in domains:
        site_rate = rate_of(domain.site_rate or "", current.site_rate) if domain.site_id else None
        domain_rate = rate_of(domain.rate, current.domain_rate)
        for key, rate in ((f"s{domain.site_id}", site_rate), (f"d{domain.id}", domain_rate)):
            if rate is not None:
                made.left.setdefault(key, in_hand(rate))
                made.keys.setdefault(domain.id, []).append(key)
    return made


def put_off(kind: str, pk: int, until: datetime) -> None:
    """Nothing of this `site` or `domain` is claimed before; never sooner than was said already."""
    later = Q(next_at__isnull=True) | Q(next_at__lt=until)
    model = Site if kind == "site" else RecipientDomain
    model._default_manager.filter(later, pk=pk).update(next_at=until)
