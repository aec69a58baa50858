"""The database itself refuses to change the audit, or to remove what is not past its time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction

from queueapp import conf
from queueapp.engine.prune import prune_records
from queueapp.models import AuditCut, AuditEvent, append_only

pytestmark = pytest.mark.django_db
TABLE = "queueapp_auditevent"


@pytest.fixture
def row() -> AuditEvent:
    append_only.install(connection)  # all of them: the suite leaves one out, to empty tables between tests
    return AuditEvent.objects.create(actor="ann", action="hold.create", target="tag x", n=1)


def there() -> set[str]:
    table = "sqlite_master WHERE type = 'trigger'" if connection.vendor == "sqlite" else "pg_trigger"
    name = "name" if connection.vendor == "sqlite" else "tgname"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {name} FROM {table}")
        return {found for (found,) in cursor.fetchall() if found.startswith("audit_no_")}


def sql(text: str) -> Callable[[], object]:
    def run() -> None:
        with connection.cursor() as cursor:
            cursor.execute(text)

    return run


def test_the_migrations_bring_them() -> None:
    left_out = {"audit_no_delete" if connection.vendor == "sqlite" else "audit_no_truncate"}
    assert there() == append_only.names(connection) - left_out
    append_only.install(connection)
    assert there() == append_only.names(connection)


@pytest.mark.parametrize(
    "change",
    [
        lambda: AuditEvent.objects.update(actor="bob"),
        lambda: AuditEvent.objects.all().delete(),
        lambda: AuditEvent.objects.get().delete(),
        sql(f"UPDATE {TABLE} SET is_refused = NOT is_refused"),
        sql(f"DELETE FROM {TABLE}"),
    ],
    ids=["update", "delete", "delete one", "SQL update", "SQL delete"],
)
def test_it_refuses_to_change_a_row(row: AuditEvent, change: Callable[[], object]) -> None:
    with pytest.raises(IntegrityError, match="the audit is append-only"), transaction.atomic():
        change()
    assert AuditEvent.objects.get().actor == "ann"


def test_it_refuses_to_change_a_row_that_is_saved_again(row: AuditEvent) -> None:
    row.actor = "bob"
    with pytest.raises(IntegrityError), transaction.atomic():
        row.save()


def test_it_refuses_to_put_another_row_in_the_place_of_one(row: AuditEvent) -> None:
    values = f"(id, at, actor, origin, action, target, n, detail, is_refused) SELECT id, at, 'bob', origin, action, target, n, detail, is_refused FROM {TABLE}"  # noqa: E501
    verb = "INSERT OR REPLACE" if connection.vendor == "sqlite" else "INSERT"
    more = "" if connection.vendor == "sqlite" else " ON CONFLICT (id) DO UPDATE SET actor = 'bob'"
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        sql(f"{verb} INTO {TABLE} {values}{more}")()


def test_it_refuses_to_empty_the_table(row: AuditEvent) -> None:
    """SQLite has no TRUNCATE: there a DELETE without a condition does it the quick way, past no trigger."""
    verb = "DELETE FROM" if connection.vendor == "sqlite" else "TRUNCATE"
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        sql(f"{verb} {TABLE}")()


def test_prune_removes_what_is_past_its_time_and_says_so(row: AuditEvent) -> None:
    later = row.at + conf.current().audit_retention
    assert prune_records(later)["audit rows"] == 0
    assert prune_records(later + timedelta(minutes=1))["audit rows"] == 1
    told = AuditEvent.objects.get()
    assert (told.actor, told.action, told.n) == ("prune", "audit.prune", 1)


def test_what_is_younger_than_the_cut_stays(row: AuditEvent) -> None:
    AuditCut.objects.create(pk=1, before=row.at)
    with pytest.raises(IntegrityError), transaction.atomic():
        AuditEvent.objects.all().delete()
