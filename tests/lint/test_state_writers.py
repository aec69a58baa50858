"""The check for writers of Delivery.state finds each way of writing it, and leaves the rest alone."""

from __future__ import annotations

import pytest

from tests.lint.state_writers import main, product_files, violations

WRITES = {
    "a plain assignment": "delivery.state = State.HELD",
    "an assignment to a row of a loop": "for row in rows:\n    row.state = 'held'",
    "an assignment among others": "a, delivery.state = 1, 'held'",
    "an assignment with a type": "delivery.state: str = 'held'",
    "an assignment through a relation": "attempt.delivery.state = 'held'",
    "an assignment to an item": "rows[0].state = 'held'",
    "a loop target": "for delivery.state in states: pass",
    "self in Delivery": "class Delivery:\n    def hold(self):\n        self.state = 'held'",
    "setattr": "setattr(delivery, 'state', 'held')",
    "update": "Delivery.objects.due(now).update(state=State.HELD)",
    "update of a queryset in a variable": "chosen.update(hold_reason='x', state='held')",
    "update from a dictionary": "chosen.update(**{'state': 'held'})",
    "the asynchronous update": "await chosen.aupdate(state='held')",
    "update of a related set": "message.deliveries.update(state='held')",
    "update_or_create": "Delivery.objects.update_or_create(pk=1, defaults={'state': 'held'})",
    "bulk_update": "Delivery.objects.bulk_update(rows, ['state', 'hold_reason'])",
    "bulk_update by keyword": "Delivery.objects.bulk_update(rows, fields=('state',))",
    "abulk_update": "await Delivery.objects.abulk_update(rows, ['state'])",
    "a new row with a state": "Delivery(message=m, state='bounced')",
    "a created row with a state": "Delivery.objects.create(message=m, state='bounced')",
    "SQL": "sql = 'UPDATE queueapp_delivery SET n_attempts = 1, state = %s WHERE id = 1'",
    "SQL in many lines": 'sql = """\n  update "queueapp_delivery" as d\n  set "state" = v.state\n  from v"""',
    "SQL in an f-string": "sql = f'UPDATE {table} SET state = {new} WHERE id = 1'",
    "SQL with a list of columns": "sql = 'UPDATE queueapp_delivery SET (state, n_attempts) = (%s, %s)'",
    "SQL in parts": "sql = 'UPDATE queueapp_delivery ' 'SET state = 1'",
}

ALLOWED = {
    "reading": "if delivery.state == State.HELD: pass",
    "filtering": "Delivery.objects.filter(state='held').update(hold_reason='')",
    "excluding in a keyword": "Delivery.objects.filter(state='held').count()",
    "a new row with the default": "Delivery(message=m, recipient='a@b.test')",
    "a protocol's own state": "class Session:\n    def reset(self):\n        self.state = 'mail'",
    "a row of another table": "operation.state = 'running'",
    "a queryset of another table": "Operation.objects.filter(pk=1).update(state='running')",
    "bulk_update of other fields": "Delivery.objects.bulk_update(rows, ['hold_reason'])",
    "SQL that only asks for it": "sql = 'UPDATE queueapp_delivery SET n_attempts = 1 WHERE state = %s'",
    "SQL on another table": "sql = 'UPDATE queueapp_operation SET state = %s'",
    "SQL on a column with a longer name": "sql = 'UPDATE queueapp_delivery SET last_state = %s'",
    "a sentence": "text = 'Update the delivery: set state, then go on'",
}


@pytest.mark.parametrize("source", WRITES.values(), ids=WRITES)
def test_it_finds(source: str) -> None:
    assert violations(source, "sample.py"), source


@pytest.mark.parametrize("source", ALLOWED.values(), ids=ALLOWED)
def test_it_allows(source: str) -> None:
    assert violations(source, "sample.py") == []


def test_it_says_where_and_what_to_do() -> None:
    (line,) = violations("x = 1\ndelivery.state = 'held'\n", "queueapp/sample.py")
    assert line.startswith("queueapp/sample.py:2: assigns delivery.state")
    assert "queueapp/engine" in line


def test_it_reads_the_product_but_not_the_engine() -> None:
    names = {path.as_posix() for path in product_files()}
    assert any(name.endswith("queueapp/models/delivery.py") for name in names)
    assert not any("queueapp/engine/" in name for name in names)


def test_the_product_keeps_the_rule(capsys: pytest.CaptureFixture[str]) -> None:
    assert main() == 0, capsys.readouterr().err
