"""How runners share a site's sessions while Redis can't tell: through their rows.

A runner that shares through Redis has no `holds`. One that can't writes there what it has open.
It takes more only when every live runner does so: then all that is open is known here, and a
transaction that locks the rows decides. It goes back to Redis in such a transaction too, and
brings along what the others hold.

Promises: in no state, and in no change of it, do two runners count on the same session. Where that
can't be decided (one machine reaches Redis and another doesn't) the one without gets nothing new.
"""

from __future__ import annotations

from django.db import transaction

from queueapp.engine import tokens
from queueapp.engine.tokens import Wants
from queueapp.models import Runner, revision


def watch(runner_id: int) -> tuple[dict[str, int], dict[int, dict[int, int]]]:
    """(the revisions of limits and suspensions, what live runners hold that don't reach Redis)."""
    others = Runner.objects.alive().filter(holds__isnull=False).exclude(pk=runner_id)
    return revision.numbers(), {pk: _sites(holds) for pk, holds in others.values_list("pk", "holds")}


def grow(runner_id: int, wants: Wants) -> dict[int, int] | None:
    """Write down what this runner has, and give it more where there is some. None: not all have told."""
    with transaction.atomic():
        rows = dict(Runner.objects.alive().select_for_update().order_by("pk").values_list("pk", "holds"))
        mine = {site_id: have for site_id, (have, _, _) in wants.items() if have}
        others = [_sites(holds) for pk, holds in rows.items() if pk != runner_id and holds is not None]
        is_known = len(others) == len(rows) - (runner_id in rows) and runner_id in rows
        totals: dict[int, int] = {}
        if is_known:
            for site_id, (have, want, limit) in wants.items():
                free = limit - sum(each.get(site_id, 0) for each in others)
                totals[site_id] = max(0, min(want, free))
                mine[site_id] = max(have, totals[site_id])
        Runner.objects.filter(pk=runner_id).update(holds={str(pk): n for pk, n in mine.items() if n})
    return totals if is_known else None


def to_redis(runner_id: int, mine: dict[int, int]) -> str:
    """From now on by Redis; returns its epoch. Raises RedisError, and then nothing has changed."""
    with transaction.atomic():
        rows = dict(Runner.objects.alive().select_for_update().order_by("pk").values_list("pk", "holds"))
        holds = {pk: _sites(each) for pk, each in rows.items() if each is not None and pk != runner_id}
        is_all = len(holds) == len(rows) - (runner_id in rows)
        epoch = tokens.begin({**holds, runner_id: mine}, may_start=is_all)
        Runner.objects.filter(pk=runner_id).update(holds=None)
    return epoch


def _sites(holds: object) -> dict[int, int]:
    return {int(pk): int(n) for pk, n in holds.items()} if isinstance(holds, dict) else {}
