"""Everything that waits for a whole site, as one operation: which search it is, and how many that are.

A site is named in a search, so what the operation did can be looked up as any other's; sites of one name are
meant together, and whoever asks is told so.
"""

from __future__ import annotations

from dataclasses import dataclass

from queueapp.grammar import Term, Text, parse
from queueapp.models import Site
from queueapp.models.counting import count


@dataclass(frozen=True, slots=True)
class Retry:
    """`q` selects `n` deliveries now, from the counters; `n_sites` have the name."""

    q: str
    n: int
    n_sites: int


def retry_of(site: Site) -> Retry:
    q = f"{Term('site', '=', Text((site.name.lower(),)))} state:deferred"
    n, _ = count(parse(q))
    return Retry(q, n, Site.objects.filter(name__iexact=site.name).count())
