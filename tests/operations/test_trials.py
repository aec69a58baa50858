"""The mail that is tried first: shown with its result, and a person may decide before it has one."""

from __future__ import annotations

import pytest
from django.test import Client

from queueapp.access.change import COMMAND, Missing, NotAllowed, Taken
from queueapp.models import AuditEvent, OperationSite
from queueapp.operations import paced, trials
from queueapp.operations.exceptions import page
from tests.access.by import by
from tests.dashboard.api.asking import is_error, key, with_key
from tests.dashboard.people import as_role
from tests.engine.queue import DEFERRED, DELIVERED, claimed, record
from tests.operations.test_paced import a_site, asked, due, served, waiting

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]
N = paced.ONE_FIRST + 2


def test_it_tells_which_is_tried_and_what_came_of_it() -> None:
    waiting("x.test", N, site=a_site("mx.example"))
    waiting("y.test", N + 1)
    waiting("few.test", 3)
    made = served(asked())
    found = trials.trials(made)
    assert [(each.receiver, each.n, each.state) for each in found] == [
        ("y.test", N + 1, "trying"), ("mx.example", N, "trying"),
    ]  # fmt: skip
    assert [each.delivery and each.delivery.recipient for each in found] == ["0@y.test", "0@x.test"]
    assert all(each.until and each.may_go and each.may_stop for each in found)
    runner, rows = claimed()
    for row in rows:
        record(runner, [row], DEFERRED if row.domain == "x.test" else DELIVERED)
    made = served(made)
    told = {each.receiver: (each.state, each.reply) for each in trials.trials(made)}
    assert told["mx.example"] == ("failed", "451 4.3.0 later")
    assert told["y.test"][0] == "goes"
    assert not any(each.may_go or each.may_stop for each in trials.trials(made))  # it is over


def test_the_rest_goes_without_waiting_where_a_person_says_so() -> None:
    waiting("x.test", N)
    made = served(asked())
    assert made.is_open
    trials.go_on(COMMAND, made.pk, trials.trials(made)[0].id)
    made = served(made)
    assert (made.state, made.n_done) == ("done", N)
    assert OperationSite.objects.get().verdict == "let"
    event = AuditEvent.objects.get(action="operation.go_on")
    assert (event.detail["receiver"], event.n) == ("x.test", N)


def test_one_receiver_is_stopped_and_the_others_go() -> None:
    waiting("x.test", N)
    waiting("y.test", N)
    made = served(asked())
    by_name = {each.receiver: each.id for each in trials.trials(made)}
    trials.stop(COMMAND, made.pk, by_name["x.test"])
    trials.go_on(COMMAND, made.pk, by_name["y.test"])
    made = served(made)
    assert (made.state, made.n_done, made.n_skipped) == ("done", N + 1, N - 1)
    assert {each.reason for each in page(made, 0, 100).items} == {"stopped"}
    assert {name.partition("@")[2] for name in due() if name != "0@x.test"} == {"y.test"}


def test_a_decision_of_a_person_is_not_undone_by_the_outcome() -> None:
    waiting("x.test", N)
    made = served(asked())
    each = OperationSite.objects.get()
    runner, rows = claimed()
    record(runner, rows, DEFERRED)
    trials.go_on(COMMAND, made.pk, each.pk)
    paced._look(each, trials.trials(made)[0].delivery)  # as it was read before
    each.refresh_from_db()
    assert (each.verdict, each.told) == ("let", "451 4.3.0 later")


def test_who_may_not_and_what_is_over_is_refused() -> None:
    waiting("x.test", N)
    made = served(asked())
    pk = trials.trials(made)[0].id
    with pytest.raises(NotAllowed):
        trials.go_on(by("vera", "read"), made.pk, pk)
    assert AuditEvent.objects.get(is_refused=True).action == "operation.go_on"
    with pytest.raises(Missing):
        trials.stop(COMMAND, made.pk, pk + 1)
    trials.stop(COMMAND, made.pk, pk)
    with pytest.raises(Taken, match="decided already"):
        trials.stop(COMMAND, made.pk, pk)
    made = served(made)
    with pytest.raises(Taken, match="nothing left to decide"):
        trials.go_on(COMMAND, made.pk, pk)


def test_page_and_api_show_and_decide(admin_client: Client) -> None:
    waiting("x.test", N)
    made = served(asked())
    pk = trials.trials(made)[0].id
    shown = admin_client.get(f"/operations/{made.pk}").text
    for text in ("The first mail of each receiver", "0@x.test", "being tried", "Go on", "Stop"):
        assert text in shown
    viewer = as_role("viewer")
    assert "trial-acts" not in viewer.get(f"/operations/{made.pk}").text
    assert viewer.post(f"/operations/{made.pk}/trials/{pk}/go").status_code == 403
    client = with_key(key("operate"))
    url = f"/api/v1/operations/{made.pk}/trials"
    assert [(each["receiver"], each["state"]) for each in client.get(url).json()] == [("x.test", "trying")]
    assert client.post(f"{url}/{pk}/stop").status_code == 200
    is_error(client.post(f"{url}/{pk}/stop"), 409, "conflict")
    assert admin_client.post(f"/operations/{made.pk}/trials/{pk}/go").status_code == 302
    assert client.get(url).json()[0]["state"] == "let"
