"""Statements that go together: the same rows on both databases, and Django's transactions as ever."""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Callable

import pytest
from django.db import IntegrityError, OperationalError, close_old_connections, connection, transaction

from queueapp.models import Body, Message, RecipientDomain, Suppression, bulk, trips
from queueapp.models.bulk import NewRows
from queueapp.models.trips import together
from tests.models.test_bulk import CHANGE, MESSAGE, NOW, SUPPRESSIONS, stored

ROW = ("a@x.test", "other", "r", "", None, NOW)


def round_trips(work: Callable[[], None]) -> int:
    """How often the client waited for the server: libpq's own trace has a Query or a Sync for each."""
    pgconn = connection.connection.pgconn
    with tempfile.TemporaryFile() as file:
        pgconn.trace(file.fileno())
        try:
            work()
        finally:
            pgconn.untrace()
        file.seek(0)
        return len(re.findall(rb"^[^\t\n]*\tF\t\d+\t(?:Query|Sync)\b", file.read(), re.MULTILINE))


def addresses() -> list[str]:
    return list(Suppression.objects.order_by("address").values_list("address", flat=True))


@pytest.mark.django_db
@pytest.mark.parametrize("n", [1, 3, bulk.FEW + 1])
def test_what_goes_together_is_as_if_it_went_alone(n: int) -> None:
    names = [f"{number:03}@x.test" for number in range(n)]
    with transaction.atomic(), together():
        SUPPRESSIONS.add([(name, "other", "100%s", "%(x)s ' \\ $1", 7, NOW) for name in names])
        NewRows("queueapp_message", MESSAGE).add(
            [(NOW, 1, 1, "smtp", ["a'b", "%s", '"'], *[""] * 9, 5, False, False, False, False)]
        )
    assert addresses() == names
    assert {each.evidence for each in Suppression.objects.all()} == {"%(x)s ' \\ $1"}
    assert Message.objects.get().tags == ["a'b", "%s", '"']
    ids = list(Suppression.objects.order_by("address").values_list("id", flat=True))
    with transaction.atomic(), together():
        assert CHANGE.run([(pk, "first", 1, NOW) for pk in ids], after=["x"]) == []
        CHANGE.run([(ids[0], "second", 2, NOW)], after=["x"])
    assert stored(ids[0]) == ("second", 2, NOW)
    assert all(stored(pk) == ("first", 1, NOW) for pk in ids[1:])


@pytest.mark.django_db
@pytest.mark.parametrize("size", [0, 1, 1024, 256 * 1024])
def test_octets_keep_their_order_among_the_others(size: int) -> None:
    message = Message.objects.create(accepted_at=NOW, size=1, n_recipients=1, source="smtp")
    content = (bytes(range(256)) * 1024)[:size]
    with transaction.atomic(), together():
        CHANGE.run([(1, "", None, NOW)], after=["x"])
        NewRows("queueapp_body", "message_id:bigint content:bytea").add([(message.pk, content)])
    assert bytes(Body.objects.get().content) == content


@pytest.mark.django_db
def test_one_that_fails_undoes_all_that_go_together() -> None:
    def twice() -> None:
        with transaction.atomic(), together():
            SUPPRESSIONS.add([ROW])
            SUPPRESSIONS.add([ROW])

    with pytest.raises(IntegrityError):
        twice()
    assert not addresses()
    SUPPRESSIONS.add([("b@x.test", *ROW[1:])])
    assert addresses() == ["b@x.test"]


@pytest.mark.django_db
def test_inside_another_transaction_the_end_commits_nothing() -> None:
    def broken() -> None:
        with transaction.atomic():
            with transaction.atomic(), together(is_end=True):
                SUPPRESSIONS.add([ROW])
            assert addresses() == ["a@x.test"]
            _ = 1 / 0

    with pytest.raises(ZeroDivisionError):
        broken()
    assert not addresses()


@pytest.mark.django_db(transaction=True)
class TestTransactionsOfTheirOwn:
    def test_it_is_stored_and_told_once_it_is(self) -> None:
        seen: list[list[str]] = []
        with transaction.atomic(), together(is_end=True):
            SUPPRESSIONS.add([ROW])
            transaction.on_commit(lambda: seen.append(addresses()))
            assert not seen
        assert seen == [["a@x.test"]]
        assert connection.get_autocommit()
        assert not connection.in_atomic_block

    def test_a_transaction_costs_no_round_trip_of_its_own(self) -> None:
        if connection.vendor != "postgresql":
            pytest.skip("SQLite has no round trips")
        RecipientDomain.objects.create(name="x.test")

        def whole() -> None:
            with transaction.atomic(), together(is_end=True):
                SUPPRESSIONS.add([ROW])
                CHANGE.run([(1, "", None, NOW)], after=["x"])

        def with_a_query() -> None:
            with transaction.atomic():
                trips.first("SELECT id FROM queueapp_recipientdomain FOR UPDATE")
                with together(is_end=True):
                    SUPPRESSIONS.add([("b@x.test", *ROW[1:])])

        assert round_trips(whole) == 1
        assert round_trips(with_a_query) == 2
        assert addresses() == ["a@x.test", "b@x.test"]

    def test_nothing_of_it_stays_when_one_statement_fails(self) -> None:
        told: list[int] = []

        def twice() -> None:
            with transaction.atomic(), together(is_end=True):
                SUPPRESSIONS.add([("b@x.test", *ROW[1:])])
                SUPPRESSIONS.add([ROW])
                SUPPRESSIONS.add([ROW])
                transaction.on_commit(lambda: told.append(1))

        with pytest.raises(IntegrityError):
            twice()
        assert not addresses()
        assert not told
        with transaction.atomic(), together(is_end=True):
            SUPPRESSIONS.add([ROW])
        assert addresses() == ["a@x.test"]

    def test_nothing_of_it_stays_when_the_block_fails(self) -> None:
        def broken() -> None:
            with transaction.atomic():
                trips.first("SELECT 1")
                with together(is_end=True):
                    SUPPRESSIONS.add([ROW])
                    _ = 1 / 0

        with pytest.raises(ZeroDivisionError):
            broken()
        assert not addresses()

    def test_a_transaction_begins_with_its_first_query(self) -> None:
        RecipientDomain.objects.create(name="x.test")

        def broken() -> None:
            with transaction.atomic():
                found = trips.first("SELECT name FROM queueapp_recipientdomain WHERE name = %s", ["x.test"])
                assert found == [("x.test",)]
                RecipientDomain.objects.update(name="y.test")
                _ = 1 / 0

        with pytest.raises(ZeroDivisionError):
            broken()
        assert RecipientDomain.objects.get().name == "x.test"
        assert trips.first("SELECT count(*) FROM queueapp_recipientdomain") == [(1,)]

    def test_large_rows_go_between_and_all_is_one_transaction(self) -> None:
        rows = [(f"{n:03}@x.test", *ROW[1:]) for n in range(bulk.FEW + 1)]

        def broken() -> None:
            with transaction.atomic(), together(is_end=True):
                SUPPRESSIONS.add([ROW])
                SUPPRESSIONS.add(rows)
                SUPPRESSIONS.add([ROW])

        with pytest.raises(IntegrityError):
            broken()
        assert not addresses()
        with transaction.atomic(), together(is_end=True):
            SUPPRESSIONS.add(rows)
            SUPPRESSIONS.add([ROW])
        assert len(addresses()) == bulk.FEW + 2

    @pytest.mark.parametrize("n", [1, 2])
    def test_what_only_the_commit_can_find_wrong_is_raised(self, n: int) -> None:
        """A foreign key is checked last, when all statements have been answered."""

        def without_its_message() -> None:
            with transaction.atomic(), together(is_end=True):
                SUPPRESSIONS.add([ROW])
                NewRows("queueapp_body", "message_id:bigint content:bytea").add([(999, b"x")])

        for _ in range(n):
            with pytest.raises(IntegrityError):
                without_its_message()
        assert not addresses()
        with transaction.atomic(), together(is_end=True):
            SUPPRESSIONS.add([ROW])
        assert addresses() == ["a@x.test"]

    def test_a_connection_that_breaks_is_replaced(self) -> None:
        if connection.vendor != "postgresql":
            pytest.skip("SQLite has no connections to break")
        connection.ensure_connection()
        pid = connection.connection.info.backend_pid
        with contextlib.suppress(OperationalError), connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [pid])
        with pytest.raises(OperationalError), transaction.atomic(), together(is_end=True):
            SUPPRESSIONS.add([ROW])
        close_old_connections()
        with transaction.atomic(), together(is_end=True):
            SUPPRESSIONS.add([ROW])
        assert addresses() == ["a@x.test"]
