from __future__ import annotations

import pytest

from queueapp.access.change import COMMAND
from queueapp.models import Delivery, Operation
from queueapp.operations import actions, run
from tests.engine.queue import n_wrong_counters, put, states


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("valkey")
def test_it_works() -> None:
    put("a@x.test", "b@x.test", "c@y.test")
    made = actions.create(COMMAND, "hold", q="domain:x.test", expect=2, reason="spam?")
    assert not run.work()
    made.refresh_from_db()
    assert (made.state, made.n_matched, made.n_done, made.n_skipped) == ("done", 2, 2, 0)
    assert states() == {"a@x.test": "held", "b@x.test": "held", "c@y.test": "queued"}
    assert set(Delivery.objects.filter(state="held").values_list("hold_reason", flat=True)) == {"spam?"}
    assert n_wrong_counters() == 0
    undone = actions.undo(COMMAND, made.pk)
    assert not run.work()
    assert set(states().values()) == {"queued"}
    assert n_wrong_counters() == 0
    assert Operation.objects.get(pk=made.pk).state == "undone"
    assert Operation.objects.get(pk=undone.pk).n_done == 2
