"""Ids known before their rows are stored: never given twice, by whomever they are asked for."""

from __future__ import annotations

import os
import threading

import pytest
from django.db import connection, connections, transaction

from queueapp.models import RecipientDomain, ids
from queueapp.models.ids import have_ids, new_ids


@pytest.mark.django_db
def test_ids_are_new_and_the_orm_goes_on_behind_them() -> None:
    with transaction.atomic():
        [some] = map(list, new_ids(queueapp_recipientdomain=3))
        RecipientDomain.objects.bulk_create([RecipientDomain(pk=pk, name=f"d{pk}.test") for pk in some])
        [more, none] = map(list, new_ids(queueapp_recipientdomain=2, queueapp_message=0))
        assert none == []
        RecipientDomain.objects.bulk_create([RecipientDomain(pk=pk, name=f"d{pk}.test") for pk in more])
    assert len({*some, *more}) == 5
    assert RecipientDomain.objects.create(name="next.test").pk > max(more)
    assert new_ids(queueapp_message=0) == [()]


@pytest.mark.django_db
def test_what_is_in_stock_is_given_once_and_in_order() -> None:
    have_ids(queueapp_message=3, queueapp_delivery=4)
    taken: list[int] = []
    for _ in range(4):
        with transaction.atomic():
            [messages, deliveries] = new_ids(queueapp_message=3, queueapp_delivery=4)
            assert (len(messages), len(deliveries)) == (3, 4)
            if connection.vendor == "postgresql":
                taken += messages
    assert taken == sorted(set(taken))


@pytest.mark.django_db
def test_more_than_the_stock_has_is_asked_for() -> None:
    have_ids(queueapp_message=1)
    [many] = new_ids(queueapp_message=2000)
    assert len(set(many)) == 2000


@pytest.mark.django_db
def test_an_old_stock_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite keeps no stock")
    have_ids(queueapp_message=1)
    kept = list(ids._stock.ids["queueapp_message"])
    monkeypatch.setattr(ids._stock, "until", 0.0)
    have_ids(queueapp_message=1)
    assert min(ids._stock.ids["queueapp_message"]) > max(kept)


@pytest.mark.django_db(transaction=True)
def test_neither_another_thread_nor_a_fork_uses_our_stock() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite keeps no stock")
    have_ids(queueapp_message=5)
    [mine] = new_ids(queueapp_message=5)
    theirs: list[int] = []

    def ask() -> None:
        have_ids(queueapp_message=5)
        theirs.extend(new_ids(queueapp_message=5)[0])
        connections.close_all()

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    assert not {*mine} & {*theirs}
    ids._stock.pid = os.getpid() + 1  # as a child finds it after a fork
    assert not {*ids._kept()}
