"""What a test finds in emptied tables: the kinds of rows and the permissions, as `migrate` made them.

After each test that commits, Django empties all tables and lets each app make these rows anew, by a hundred
questions that cost more than most tests do. They are always the same, so they are remembered once and put
back by two statements. `migrate` itself, which tests of `up` and of databases run, is another process.

PostgreSQL's TRUNCATE makes new files for every table and index, 0.2 to 1 s for ours. `quickly` deletes rows
instead, without triggers and foreign keys, and truncates where tables have grown large, so that no dead
rows pile up.
"""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.management import create_contenttypes
from django.contrib.contenttypes.models import ContentType
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.signals import post_migrate

_AUTH = "django.contrib.auth.management.create_permissions"
_OURS = "tests.emptying"
_LARGE = 4 * 1024 * 1024  # bytes of all tables, without indexes
_SIZE = "SELECT coalesce(sum(pg_relation_size(oid)), 0) FROM pg_class WHERE relname = ANY(%s)"


def remember() -> None:
    """Call it once, right after the tests' database was made."""
    kinds, permissions = list(ContentType.objects.all()), list(Permission.objects.all())
    assert kinds
    assert permissions
    post_migrate.disconnect(create_permissions, dispatch_uid=_AUTH)
    post_migrate.disconnect(create_contenttypes)

    def put_back(using: str, **_: Any) -> None:
        ContentType.objects.using(using).bulk_create(kinds, ignore_conflicts=True)
        Permission.objects.using(using).bulk_create(permissions, ignore_conflicts=True)

    last = [each for each in apps.get_app_configs() if each.models_module is not None][-1]
    post_migrate.connect(put_back, sender=last, dispatch_uid=_OURS, weak=False)


def quickly(connection: BaseDatabaseWrapper) -> None:
    """Let PostgreSQL empty small tables by DELETE; nothing changes on SQLite, which does so anyway."""
    if connection.vendor != "postgresql":
        return
    truncate = connection.ops.sql_flush

    def sql_flush(style: Any, tables: list[str], **options: Any) -> list[str]:
        with connection.cursor() as cursor:
            cursor.execute(_SIZE, [tables])
            size = cursor.fetchone()[0]
        if options.get("reset_sequences") or size > _LARGE:
            return truncate(style, tables, **options)
        deletes = "".join(f"DELETE FROM {connection.ops.quote_name(each)};" for each in tables)
        return [f"SET LOCAL session_replication_role = replica; {deletes}"]  # in the flush's own transaction

    connection.ops.sql_flush = sql_flush
