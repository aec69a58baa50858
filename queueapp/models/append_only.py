"""Triggers by which the database keeps the audit append-only, whoever writes: a defect of ours, a shell.

Refused with IntegrityError: an UPDATE, a DELETE of what the AuditCut doesn't give free, a TRUNCATE, and
SQLite's REPLACE. A migration that makes the table anew (on SQLite most changes of a column do) loses them and
has to call `install` again; tests/models/test_append_only.py notices. Who owns the database can still drop
a trigger.
"""

from __future__ import annotations

from typing import Any

_TEXT = "the audit is append-only"
_FREE = "EXISTS (SELECT 1 FROM queueapp_auditcut WHERE before > OLD.at)"

_SQLITE = {
    "audit_no_update": "BEFORE UPDATE ON queueapp_auditevent",
    "audit_no_delete": f"BEFORE DELETE ON queueapp_auditevent WHEN NOT {_FREE}",
    "audit_no_replace": "BEFORE INSERT ON queueapp_auditevent "
    "WHEN EXISTS (SELECT 1 FROM queueapp_auditevent WHERE id = NEW.id)",
}
_POSTGRES = {
    "audit_no_update": "BEFORE UPDATE ON queueapp_auditevent FOR EACH ROW",
    "audit_no_delete": "BEFORE DELETE ON queueapp_auditevent FOR EACH ROW",
    "audit_no_truncate": "BEFORE TRUNCATE ON queueapp_auditevent FOR EACH STATEMENT",
}
_FUNCTION = f"""
CREATE OR REPLACE FUNCTION queueapp_audit_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF {_FREE} THEN RETURN OLD; END IF;
    END IF;
    RAISE EXCEPTION '{_TEXT}' USING ERRCODE = 'integrity_constraint_violation';
END $$
"""


def install(connection: Any) -> None:
    """Make them, or make them anew."""
    is_sqlite = connection.vendor == "sqlite"
    with connection.cursor() as cursor:
        if not is_sqlite:
            cursor.execute(_FUNCTION)
        for name, when in (_SQLITE if is_sqlite else _POSTGRES).items():
            remove(connection, name)
            does = f"BEGIN SELECT RAISE(ABORT, '{_TEXT}'); END" if is_sqlite else _CALL
            cursor.execute(f"CREATE TRIGGER {name} {when} {does}")


_CALL = "EXECUTE FUNCTION queueapp_audit_guard()"


def remove(connection: Any, name: str) -> None:
    place = "" if connection.vendor == "sqlite" else " ON queueapp_auditevent"
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TRIGGER IF EXISTS {name}{place}")


def names(connection: Any) -> set[str]:
    """Those that there should be."""
    return set(_SQLITE if connection.vendor == "sqlite" else _POSTGRES)
