"""One mail once more, by the API: with the rights of the page's buttons."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from queueapp import conf
from queueapp.conf import Address
from queueapp.models import Delivery
from tests.dashboard.api.asking import is_error, key, with_key
from tests.engine.queue import sandbox
from tests.models.rows import delivery

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey"), pytest.mark.once]


@pytest.fixture
def client() -> Client:
    return with_key(key("operate"))


def post(client: Client, url: str, **body: Any) -> Any:
    return client.post(f"/api/v1{url}", json.dumps(body), content_type="application/json")


def test_again_makes_a_new_delivery(client: Client) -> None:
    old = delivery("a@x.test", state="bounced")
    told = post(client, f"/deliveries/{old.pk}/again", reason="full box")
    assert (told.status_code, told.json()["to"], told.json()["state"]) == (201, "a@x.test", "queued")
    assert told.json()["id"] != old.pk
    is_error(post(client, f"/deliveries/{old.pk}/again", reason="x"), 409, "conflict")
    is_error(post(client, f"/deliveries/{old.pk}/again", reason=""), 422, "invalid", "reason")
    is_error(post(client, "/deliveries/4711/again", reason="x"), 404, "not_found")
    reader = with_key(key("read", name="reader"))
    is_error(post(reader, f"/deliveries/{old.pk}/again", reason="x"), 403, "scope_missing")


def test_readdress_closes_the_old_delivery(client: Client) -> None:
    old = delivery("a@x.tset", state="deferred")
    told = post(client, f"/deliveries/{old.pk}/readdress", address="a@x.test", reason="a slip").json()
    assert (told["to"], Delivery.objects.get(pk=old.pk).state) == ("a@x.test", "bounced")
    wrong = post(client, f"/deliveries/{told['id']}/readdress", address="nobody", reason="a slip")
    is_error(wrong, 422, "invalid", "address")


def test_copy_goes_to_the_sandbox_or_says_that_it_is_not_there(client: Client, tmp_path: Path) -> None:
    row = delivery("a@x.test")
    with sandbox(tmp_path) as archive:
        told = post(client, f"/messages/{row.message_id}/copy")
        assert told.status_code == 201
        assert archive.get(told.json()["sandbox_id"]) is not None
    with conf.override(sandbox=Address("127.0.0.1", 1)):
        is_error(post(client, f"/messages/{row.message_id}/copy"), 503, "sandbox_away")
