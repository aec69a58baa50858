"""One key, one message: within 24 hours, by owner, and also when two processes hear it at once."""

from __future__ import annotations

import asyncio
import os
import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone

from queueapp.ingest import accept as gate
from queueapp.ingest.accept import accept, accept_async
from queueapp.ingest.submission import Accepted, Submission
from queueapp.models import Delivery, IdempotencyKey, Message, RecipientDomain


def submission(key: str = "order-1", login: str = "shop", **values: Any) -> Submission:
    basis: dict[str, Any] = {
        "sender": "ann@example.com", "recipients": ("bob@example.net", "eve@example.net"),
        "content": b"Subject: x\r\n\r\nx\r\n", "source": "http", "login": login, "idempotency_key": key,
    }  # fmt: skip
    return Submission(**basis | values)


def age(by: timedelta) -> None:
    IdempotencyKey.objects.update(created_at=timezone.now() - by)


@pytest.mark.django_db
def test_the_same_key_gives_the_same_answer_and_no_second_message() -> None:
    first, second = accept(submission()), accept(submission())
    assert not first.is_repeat
    assert second.is_repeat
    assert (second.message_id, second.deliveries) == (first.message_id, first.deliveries)
    assert Message.objects.count() == 1
    assert RecipientDomain.objects.get().n_queued == 2


@pytest.mark.django_db
def test_the_answer_tells_the_state_of_now() -> None:
    first = accept(submission())
    Delivery.objects.filter(recipient="bob@example.net").update(state="delivered")
    assert [state for _, _, state in accept(submission()).deliveries] == ["delivered", "queued"]
    assert accept(submission()).message_id == first.message_id


@pytest.mark.django_db
def test_without_a_key_every_mail_is_a_new_one() -> None:
    assert accept(submission("")).message_id != accept(submission("")).message_id
    assert not IdempotencyKey.objects.exists()


@pytest.mark.django_db
def test_keys_of_different_owners_are_different() -> None:
    one, other = accept(submission(login="shop")), accept(submission(login="blog"))
    assert one.message_id != other.message_id
    assert accept(submission(login="blog")).message_id == other.message_id


@pytest.mark.django_db
@pytest.mark.parametrize(("hours", "n"), [(23.99, 1), (24.01, 2)])
def test_a_key_is_forgotten_after_a_day(hours: float, n: int) -> None:
    accept(submission())
    age(timedelta(hours=hours))
    assert accept(submission()).is_repeat == (n == 1)
    assert Message.objects.count() == n
    assert IdempotencyKey.objects.count() == 1


@pytest.mark.django_db
def test_a_refused_mail_takes_no_key() -> None:
    with pytest.raises(gate.Refused):
        accept(submission(recipients=("bad",)))
    assert not accept(submission()).is_repeat


@pytest.mark.django_db(transaction=True)
def test_one_key_several_times_in_one_commit_is_one_message() -> None:
    async def main() -> list[Accepted]:
        return await asyncio.gather(*(accept_async(submission()) for _ in range(8)))

    try:
        answers = asyncio.run(main())
    finally:
        gate._writers.pop(os.getpid()).close()
    assert len({each.message_id for each in answers}) == Message.objects.count() == 1
    assert [each.is_repeat for each in answers].count(False) == 1
    assert all(each.deliveries == answers[0].deliveries for each in answers)


@pytest.mark.django_db(transaction=True)
def test_two_processes_that_hear_a_key_at_once_make_one_message() -> None:
    for n in range(5):
        _race(f"order-{n}")
    assert Message.objects.count() == 5


def _race(key: str) -> None:
    """Each thread has its own connection, as a process has."""
    answers: list[Accepted] = []
    errors: list[BaseException] = []
    barrier = threading.Barrier(3)

    def work() -> None:
        try:
            barrier.wait(10)
            answers.append(accept(submission(key)))
        except BaseException as error:
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not errors
    assert len({each.message_id for each in answers}) == 1
    assert [each.is_repeat for each in answers].count(False) == 1


@pytest.mark.django_db(transaction=True)
def test_a_server_that_lost_the_race_answers_as_the_winner_did(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other's commit falls between our look and our own write."""
    real = gate.idempotency.known
    n_looks = 0

    def late(keys: list[tuple[str, str]]) -> dict[tuple[str, str], Accepted]:
        nonlocal n_looks
        n_looks += 1
        return {} if n_looks == 1 else real(keys)

    winner = accept(submission())
    monkeypatch.setattr(gate.idempotency, "known", late)
    try:
        loser = asyncio.run(_one())
    finally:
        gate._writers.pop(os.getpid()).close()
    assert loser.is_repeat
    assert loser.message_id == winner.message_id
    assert Message.objects.count() == 1


async def _one() -> Accepted:
    return await accept_async(submission())
