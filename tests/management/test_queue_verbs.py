from __future__ import annotations

import json
import sys

import pytest
from django.utils import timezone

from queueapp.management import acting
from queueapp.models import AuditEvent, Delivery, Operation, Route
from queueapp.operations import run
from tests.management.calls import manage
from tests.models.rows import delivery

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]


def three() -> None:
    for name in "abc":
        delivery(f"{name}@x.test", state="deferred", next_attempt_at=timezone.now())


def test_it_works_without_a_worker() -> None:
    three()
    done = manage("queue", "hold", "to:a@x.test", "to:b@x.test", "--yes", "--reason", "look at it")
    assert (done.code, done.out) == (0, "2 held.\n")
    made = Operation.objects.get()
    assert f"manage.py queue undo {made.pk}" in done.err
    assert set(Delivery.objects.filter(state="held").values_list("hold_reason", flat=True)) == {"look at it"}
    assert made.actor.startswith("command")
    done = manage("queue", "undo", str(made.pk))
    assert (done.code, done.out) == (0, "2 reversed.\n")
    assert set(Delivery.objects.values_list("state", flat=True)) == {"deferred"}


@pytest.mark.parametrize(
    ("verb", "state"),
    [("retry", "deferred"), ("bounce", "bounced"), ("delete", "deleted"), ("priority", "deferred")],
)
def test_each_verb_tells_programs_what_it_did(verb: str, state: str) -> None:
    three()
    delivery("d@x.test", state="delivered")
    number = ["9"] if verb == "priority" else []
    told = json.loads(manage("queue", verb, *number, "domain:x.test", "--yes", "--json").out)
    assert (told["matched"], told["done"], told["skipped"], told["failed"]) == (4, 3, 1, 0)
    assert Delivery.objects.filter(recipient__lt="d", state=state).count() == 3
    assert set(Delivery.objects.filter(recipient__lt="d").values_list("priority", flat=True)) == {
        9 if verb == "priority" else 5
    }


def test_reroute_by_the_name_of_a_route() -> None:
    three()
    Route.objects.create(name="backup", kind="mx")
    done = manage("queue", "reroute", "--route", "backup", "to:a@x.test", "--yes")
    assert (done.code, done.out) == (0, "1 rerouted.\n")
    assert manage("queue", "count", "route:backup").out == "1\n"
    done = manage("queue", "reroute", "--route", "nowhere", "--yes")
    assert done.code == 2
    assert "there is no route 'nowhere'" in done.err


def test_release_and_restore() -> None:
    three()
    manage("queue", "hold", "--yes")
    assert manage("queue", "release", "state:held", "--yes").out == "3 released.\n"
    manage("queue", "delete", "--yes")
    assert manage("queue", "restore", "state:deleted", "--yes").out == "3 restored.\n"
    assert Delivery.objects.filter(state="queued").count() == 3


def test_nothing_is_done_unasked() -> None:
    three()
    done = manage("queue", "delete", "domain:x.test")
    assert (done.code, "say --yes" in done.err) == (2, True)
    assert Delivery.objects.filter(state="deleted").count() == 0


class _Terminal:
    def __init__(self, answer: str) -> None:
        self.answer = answer

    def isatty(self) -> bool:
        return True

    def readline(self) -> str:
        return f"{self.answer}\n"


@pytest.mark.parametrize(("answer", "code", "n"), [("y", 0, 3), ("", 1, 0), ("no", 1, 0)])
def test_it_asks_a_person(answer: str, code: int, n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    three()
    monkeypatch.setattr("tests.management.calls._Stdin", lambda content: _Terminal(answer))
    done = manage("queue", "delete", "domain:x.test")
    assert (done.code, Delivery.objects.filter(state="deleted").count()) == (code, n)
    assert "delete: 3 match, 3 of them can be touched now." in done.err
    assert "3  x.test" in done.err


@pytest.mark.parametrize(("answer", "n"), [("y", 0), ("3", 3)])
def test_a_large_number_is_typed(answer: str, n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    three()
    monkeypatch.setattr(acting, "TYPED_ABOVE", 2)
    monkeypatch.setattr("tests.management.calls._Stdin", lambda content: _Terminal(answer))
    manage("queue", "bounce", "domain:x.test")
    assert Delivery.objects.filter(state="bounced").count() == n


def test_ctrl_c_cancels_and_says_what_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    three()

    def interrupted(pk: int) -> bool:
        Operation.objects.filter(pk=pk).update(state="running")
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "step", interrupted)
    done = manage("queue", "delete", "--yes")
    assert (done.code, "Cancelled: 0 of 3 are done." in done.err) == (130, True)
    assert Operation.objects.get().state == "cancelled"
    assert AuditEvent.objects.filter(action="operation.cancel").count() == 1


def test_it_says_what_is_wrong() -> None:
    three()
    done = manage("queue", "hold", "stat:x", "--yes")
    assert (done.code, "^" in done.err) == (2, True)
    assert manage("queue", "hold", "--yes", "--reason", "x" * 201).code == 2
    assert manage("queue", "priority", "10", "--yes").code == 2
    assert manage("queue", "undo", "4711").code == 1
    assert manage("queue", "delete", "to:nobody@x.test", "--yes").out == "Nothing matches.\n"
    assert json.loads(manage("queue", "delete", "to:nobody@x.test", "--yes", "--json").out)["done"] == 0
    assert sys.stdin is not None
