"""Everything that waits for a whole site, as one operation: which search it is, and how many that are.

A site is named in a search, so what the operation did can be looked up as any other's; sites of one name are
meant together, and whoever asks is told so.
"""

from __future__ import annotations

from dataclasses import dataclass

from queueapp.access import limits
from queueapp.access.change import Actor, allow
from queueapp.grammar import Term, Text, parse
from queueapp.models import Operation, Site
from queueapp.models.counting import count
from queueapp.operations import actions
from queueapp.operations.asked import SCOPE


@dataclass(frozen=True, slots=True)
class Retry:
    """`q` selects `n` deliveries now, from the counters; `n_sites` have the name."""

    q: str
    n: int
    n_sites: int


def retry(actor: Actor, site_id: int, *, expect: int | None, reason: str = "", seen: str = "") -> Operation:
    """All that is deferred there, as a paced operation. Raises what `create` does, and Missing."""
    # Who may not is told so, and nothing of which sites there are.
    allow(actor, SCOPE, "operation.create", f"retry site {site_id}")
    q = retry_of(limits.site_named(site_id)).q
    return actions.create(actor, "retry", q=q, expect=expect, reason=reason, seen=seen)


def retry_of(site: Site) -> Retry:
    q = f"{Term('site', '=', Text((site.name.lower(),)))} state:deferred"
    n, _ = count(parse(q))
    return Retry(q, n, Site.objects.filter(name__iexact=site.name).count())
