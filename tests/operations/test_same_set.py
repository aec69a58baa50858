"""One set, whoever asks: list, count, export, API, command and operation; and what is confirmed is what
is done, whatever arrives or changes its state between the look, the click and the work (promise 4)."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from queueapp.access.change import COMMAND
from queueapp.engine.locked import Asked
from queueapp.models import Delivery, RecipientDomain
from queueapp.operations import actions, export, run
from queueapp.operations.exceptions import page
from queueapp.operations.preview import preview
from tests.dashboard.api import asking
from tests.engine.queue import DEFERRED, DELIVERED, claimed, n_wrong_counters, record
from tests.management.calls import manage
from tests.models.rows import delivery, forget

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]
DOMAINS = ("x.test", "y.test")
STATES = ("queued", "deferred", "held", "delivered", "deleted")
TERMS = st.sampled_from(
    ["state:queued", "state:deferred", "state:held", "-state:delivered", "domain:x.test", "-domain:y.test",
     "to:a@x.test", "to:y.test", "attempts>=1", "age>1h", "age<1h", "priority>5", "a@", "is:ambiguous",
     "subject:hello", "-hello", "class:busy", "next<10m"]
)  # fmt: skip
ROWS = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(DOMAINS), st.sampled_from(STATES), st.integers(0, 9),
              st.booleans()),
    max_size=9,
)  # fmt: skip
STEPS = st.lists(st.sampled_from(["arrive", "claim", "deliver", "defer", "hold", "release"]), max_size=4)
EXAMPLES = int(os.environ.get("MAILWEIR_TEST_EXAMPLES", "6"))
ACTION = st.sampled_from(["retry", "hold", "release", "bounce", "delete", "restore", "priority", "reroute"])


class _Undone(Exception):
    pass


@contextlib.contextmanager
def taken_back() -> Iterator[None]:
    """Each example begins with the same empty queue."""
    with contextlib.suppress(_Undone), transaction.atomic():
        yield
        raise _Undone
    forget()


class World:
    """The queue, and what goes on in it while somebody looks, clicks and waits."""

    def __init__(self, rows: list[tuple[str, str, str, int, bool]]) -> None:
        self.hands: list[Any] = []
        self.runner = 0
        for row in rows:
            self.add(*row)

    def add(self, name: str, domain: str, state: str, priority: int, is_old: bool) -> None:
        now = timezone.now()
        delivery(
            f"{name}@{domain}", state=state, priority=priority, subject="hello" if is_old else "good bye",
            accepted_at=now - timedelta(hours=2 if is_old else 0), n_attempts=int(state == "deferred"),
            next_attempt_at=now - timedelta(seconds=1), last_class="busy" if state == "deferred" else "",
            hold_reason="x" if state == "held" else "",
            finished_at=now if state in ("delivered", "deleted") else None,
        )  # fmt: skip

    def happen(self, steps: list[str]) -> None:
        for step in steps:
            getattr(self, step)()

    def arrive(self) -> None:
        self.add("a", "x.test", "queued", 5, False)

    def claim(self) -> None:
        self.runner, rows = claimed(2, self.runner or None)
        self.hands += rows

    def deliver(self) -> None:
        self._settle(DELIVERED)

    def defer(self) -> None:
        self._settle(DEFERRED)

    def _settle(self, what: Any) -> None:
        if self.hands:
            record(self.runner, [self.hands.pop()], what)

    def hold(self) -> None:
        self._act("hold", "queued")

    def release(self) -> None:
        self._act("release", "held")

    def _act(self, action: str, state: str) -> None:
        ids = list(Delivery.objects.filter(state=state).values_list("id", flat=True)[:1])
        if ids:
            actions_of_others(action, ids)


def actions_of_others(action: str, ids: list[int]) -> None:
    from queueapp.engine import actions as engine

    with transaction.atomic():
        engine.act(action, ids, Asked(0, timezone.now(), "somebody else"))


def listed(client: Client, q: str) -> list[int]:
    found, cursor = [], ""
    while cursor is not None:
        told = client.get("/api/v1/deliveries", {"q": q, "limit": 2, "cursor": cursor}).json()
        found += [each["id"] for each in told["items"]]
        cursor = told["next"]
    return found


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS, terms=st.lists(TERMS, max_size=3))
def test_all_ways_select_the_same(rows: list[Any], terms: list[str]) -> None:
    q = " ".join(terms)
    with taken_back():
        World(rows)
        client = asking.with_key(asking.key("read", "operate"))
        ids = listed(client, q)
        assert sorted(ids) == sorted(set(ids))
        assert client.get("/api/v1/deliveries", {"q": q}).json()["count"] == len(ids)
        written = b"".join(export.as_csv(Delivery.objects.matching(q)))
        table = csv.DictReader(io.StringIO(written.decode(), newline=""))
        assert [int(row["id"]) for row in table] == ids
        words = ["--", *terms] if terms else []
        lines = manage("queue", "list", "--limit", "0", "--json", *words).out.splitlines()
        assert [json.loads(line)["id"] for line in lines] == ids
        assert manage("queue", "count", *words).out == f"{len(ids)}\n"
        assert preview(COMMAND, "delete", q=q).matched == len(ids)
        made = actions.create(COMMAND, "delete", q=q, expect=len(ids))
        frozen = [int(pk) for chunk in made.chunks.all() for pk in chunk.ids.split(",")]
        assert sorted(frozen) == sorted(ids)


@settings(
    max_examples=2 * EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rows=ROWS, terms=st.lists(TERMS, max_size=2), action=ACTION, meanwhile=STEPS, then=STEPS, during=STEPS)
def test_what_was_confirmed_is_what_is_done(
    rows: list[Any], terms: list[str], action: str, meanwhile: list[str], then: list[str], during: list[str]
) -> None:
    q = " ".join(terms)
    with taken_back():
        world = World(rows)
        looked = preview(COMMAND, action, q=q, arguments=_arguments(action))
        shown = set(Delivery.objects.matching(q).values_list("id", flat=True))
        assert looked.matched == len(shown)
        known = set(Delivery.objects.values_list("id", flat=True))
        world.happen(meanwhile)
        try:
            made = actions.create(
                COMMAND, action, q=q, expect=looked.matched, seen=looked.seen, arguments=_arguments(action)
            )
        except actions.NotAsShown:
            # Then something that was shown has changed since, and nothing is touched.
            assert known & set(Delivery.objects.matching(q).values_list("id", flat=True)) != shown
            assert not Delivery.objects.filter(operation_id__gt=0).exists()
            return
        frozen = {int(pk) for chunk in made.chunks.all() for pk in chunk.ids.split(",") if pk}
        assert len(frozen) == looked.matched
        world.happen(then)
        made.chunks.update(n_tries=run.MOST_TRIES)
        run.step(made.pk)
        world.happen(during)
        while run.step(made.pk):
            pass
        made.refresh_from_db()
        assert made.state == "done"
        assert made.n_done + made.n_skipped + made.n_failed == looked.matched
        left = {each.id for each in page(made, 0, 100).items}
        assert len(left) == made.n_skipped + made.n_failed
        done = {
            int(pk) for chunk in made.chunks.all() for ids in chunk.before.values() for pk in ids.split(",")
        }
        assert done | left == frozen
        assert not done & left
        touched = set(Delivery.objects.filter(operation_id=made.pk).values_list("id", flat=True))
        assert touched <= frozen
        assert touched <= known
        assert n_wrong_counters() == 0
        assert RecipientDomain.objects.depth()["queued"] >= 0


def _arguments(action: str) -> dict[str, Any]:
    return {"priority": {"priority": 8}, "reroute": {"route": "default"}}.get(action, {})
