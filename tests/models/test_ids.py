"""Ids known before their rows are stored: never given twice, by whomever they are asked for."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections, transaction

from queueapp.ingest.accept import accept
from queueapp.ingest.submission import Submission
from queueapp.models import RecipientDomain
from queueapp.models.ids import are_ours, new_ids


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
def test_they_come_in_their_order_and_none_twice() -> None:
    taken: list[int] = []
    for _ in range(4):
        [messages, deliveries] = new_ids(queueapp_message=3, queueapp_delivery=2000)
        assert (len(messages), len(set(deliveries))) == (3, 2000)
        if are_ours():
            taken += messages
    assert taken == sorted(set(taken))


@pytest.mark.django_db(transaction=True)
def test_what_is_accepted_later_has_a_higher_id_whoever_takes_it() -> None:
    """Who was shown rows up to an id is not given what came after them (promise 4)."""
    new = Submission("a@x.test", ("b@y.test",), b"Subject: x\r\n\r\n", source="smtp")

    def take() -> int:
        return accept(new).deliveries[0][0]

    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as two:  # a connection each, as two processes
        ids = [each.submit(take).result() for each in (one, two) * 4]
        for each in (one, two):
            each.submit(connections.close_all).result()
    assert ids == sorted(set(ids))
