"""`queue again` and `queue copy` on real rows, and on a real sandbox."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from queueapp import conf
from queueapp.conf import Address
from queueapp.models import AuditEvent, Delivery
from tests.engine.queue import sandbox
from tests.management.calls import manage
from tests.models.rows import delivery

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey"), pytest.mark.once]


def test_again_makes_a_new_delivery() -> None:
    old = delivery("a@x.test", state="delivered")
    done = manage("queue", "again", str(old.pk), "--reason", "they lost it", "--json")
    told = json.loads(done.out)
    assert (done.code, told["to"], told["state"]) == (0, "a@x.test", "queued")
    assert AuditEvent.objects.get().detail["reason"] == "they lost it"
    done = manage("queue", "again", str(old.pk), "--reason", "they lost it")
    assert done.code == 1
    assert f"delivery {told['id']} is queued" in done.err


def test_again_to_a_corrected_address_closes_the_old_one() -> None:
    old = delivery("a@x.tset", state="deferred")
    done = manage("queue", "again", str(old.pk), "--to", "a@x.test", "--reason", "a slip")
    assert (done.code, done.out.endswith("goes to a@x.test.\n")) == (0, True)
    assert Delivery.objects.get(pk=old.pk).state == "bounced"
    done = manage("queue", "again", str(old.pk), "--to", "nobody", "--reason", "a slip")
    assert (done.code, "address" in done.err) == (2, True)


def test_copy_goes_to_the_sandbox_or_says_that_there_is_none(tmp_path: Path) -> None:
    row = delivery("a@x.test")
    with sandbox(tmp_path) as archive:
        done = manage("queue", "copy", str(row.message_id), "--json")
        assert archive.get(json.loads(done.out)["sandbox_id"]) is not None
    with conf.override(sandbox=Address("127.0.0.1", 1)):
        done = manage("queue", "copy", str(row.message_id))
    assert (done.code, "did not take the copy" in done.err) == (1, True)
