"""Many rows in one call: the same on both databases, whatever the values hold."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from datetime import timezone as Zone
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from queueapp.models import Body, Message, RecipientDomain, Suppression, bulk
from queueapp.models.bulk import ManyRows, NewRows

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 1, 12, 0, 30, 123456, tzinfo=UTC)
SUPPRESSIONS = NewRows(
    "queueapp_suppression",
    "address:text reply_class:text reason:text evidence:text delivery_id:bigint created_at:timestamptz",
)
CHANGE = ManyRows(
    "id:bigint evidence:text delivery:bigint at:timestamptz",
    postgresql="""
        UPDATE queueapp_suppression s SET evidence = v.evidence, delivery_id = v.delivery, created_at = v.at
        FROM {rows} WHERE s.id = v.id AND s.reason <> %s RETURNING s.id""",
    sqlite="UPDATE queueapp_suppression SET evidence = ?2, delivery_id = ?3, created_at = ?4 WHERE id = ?1",
)
MESSAGE = (
    "accepted_at:timestamptz size:integer n_recipients:integer source:text tags:jsonb sender:text "
    "sender_domain:text from_header:text subject:text message_id:text client:text helo:text protocol:text "
    "login:text priority:smallint has_attachment:boolean is_bulk:boolean is_8bit:boolean needs_utf8:boolean"
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)


def add(*addresses: str, **values: Any) -> list[int]:
    row = {"reason": "r", "evidence": "", "delivery": None, "at": NOW} | values
    SUPPRESSIONS.add(
        [(each, "other", row["reason"], row["evidence"], row["delivery"], row["at"]) for each in addresses]
    )
    return list(
        Suppression.objects.filter(address__in=addresses).order_by("address").values_list("id", flat=True)
    )


def stored(pk: int) -> tuple[str, int | None, datetime]:
    found = Suppression.objects.get(pk=pk)
    return found.evidence, found.delivery_id, found.created_at


def test_new_rows_are_as_the_orm_would_write_them() -> None:
    at = NOW.astimezone(Zone(timedelta(hours=5, minutes=45)))
    add("a@x.test", evidence='"quoted", {braces} \\ and NULL', delivery=7, at=at)
    found = Suppression.objects.get(address="a@x.test", created_at=NOW)
    assert (found.evidence, found.delivery_id) == ('"quoted", {braces} \\ and NULL', 7)


def test_changes_reach_their_rows_and_no_other() -> None:
    a, b, c = add("a@x.test", "b@x.test", "c@x.test")
    CHANGE.run([(a, "one", 1, NOW + timedelta(hours=1)), (c, "", None, NOW)], after=["nothing"])
    assert [stored(pk) for pk in (a, b, c)] == [
        ("one", 1, NOW + timedelta(hours=1)),
        ("", None, NOW),
        ("", None, NOW),
    ]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(TEXTS, min_size=1, max_size=5))
def test_any_text_comes_back_as_it_was(texts: list[str]) -> None:
    with transaction.atomic():
        pks = add(*(f"{n}@x.test" for n in range(len(texts))))
        CHANGE.run([(pk, text, None, NOW) for pk, text in zip(pks, texts, strict=True)], after=["x"])
        assert [stored(pk)[0] for pk in pks] == texts
        transaction.set_rollback(True)


def test_postgresql_says_which_rows_it_changed() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite's statement returns no rows")
    [keeps], [changes] = add("a@x.test", reason="fixed"), add("b@x.test")
    rows = [(keeps, "n", None, NOW), (changes, "n", None, NOW)]
    assert CHANGE.run(rows, after=["fixed"]) == [(changes,)]


def test_no_rows_are_no_statement() -> None:
    SUPPRESSIONS.add([])
    assert CHANGE.run([], after=["x"]) == []


def test_one_row_that_is_refused_keeps_all_out() -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        add("a@x.test", "b@x.test", "a@x.test")
    assert not Suppression.objects.exists()


@pytest.mark.parametrize("ids", [[], [3], list(range(70_000))])
def test_a_list_of_ids_may_have_any_length(ids: list[int]) -> None:
    domains = [RecipientDomain.objects.create(name=f"d{n}.test").pk for n in range(3)]
    with bulk.reading() as cursor:
        cursor.execute(
            f"SELECT id FROM queueapp_recipientdomain WHERE {bulk.any_of('id')}",
            [bulk.id_list([*ids, domains[1]])],
        )
        assert (domains[1],) in cursor.fetchall()


def test_octets_and_times_come_back_as_they_are() -> None:
    content = bytes(range(256)) * 40
    message = Message.objects.create(accepted_at=NOW, size=1, n_recipients=1, source="smtp")
    NewRows("queueapp_body", "message_id:bigint content:bytea").add([(message.pk, content)])
    assert bytes(Body.objects.get().content) == content
    with bulk.reading() as cursor:
        cursor.execute(
            "SELECT b.content, m.accepted_at FROM queueapp_body b "
            "JOIN queueapp_message m ON m.id = b.message_id"
        )
        [(found, at)] = cursor.fetchall()
    assert (bytes(found), bulk.as_time(at)) == (content, NOW)
