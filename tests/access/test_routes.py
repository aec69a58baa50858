"""Ways out that are chosen by name: made, chosen, and not removed under what they lead."""

from __future__ import annotations

from typing import Any

import pytest

from queueapp.access import routes
from queueapp.access.change import COMMAND, AccessError, NotAllowed, Taken, Wrong
from queueapp.models import AuditEvent, Delivery, RecipientDomain, Route, revision
from queueapp.models.sealed import SealBroken
from tests.access.by import by
from tests.models.rows import delivery

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]
RELAY = {"host": "smtp.example.net", "port": 587, "username": "us", "password": "s3cret", "tls": "required"}


def test_it_is_made_and_told_to_runners_and_its_password_to_nobody() -> None:
    before = revision.number()
    made = routes.create(COMMAND, "backup", "relay", RELAY)
    assert (made.leads_to, made.pattern, made.tls) == ("smtp.example.net:587", "", "required")
    assert revision.number() > before
    event = AuditEvent.objects.get()
    assert (event.action, event.target, event.detail["leads_to"]) == (
        "route.create", "backup", "smtp.example.net:587",
    )  # fmt: skip
    assert "s3cret" not in str(event.detail)
    with pytest.raises(Taken, match="already"):
        routes.create(COMMAND, "backup", "mx", {})


def test_a_password_is_sealed_and_stays_until_another_is_given(settings: Any) -> None:
    made = routes.create(COMMAND, "backup", "relay", RELAY)
    assert "s3cret" not in made.sealed
    assert (
        routes.alter(COMMAND, made.pk, {"host": "b.example.net", "port": None, "password": ""}).password()
        == "s3cret"
    )
    routes.alter(COMMAND, made.pk, {"name": "spare", "password": "n3w"})
    now = Route.objects.get()
    assert (str(now), now.leads_to, now.password()) == ("spare", "b.example.net:587", "n3w")
    event = AuditEvent.objects.filter(action="route.alter").latest("id")
    assert (event.detail["before"]["name"], event.detail["has_new_password"]) == ("backup", True)
    assert "n3w" not in str(event.detail)
    settings.SECRET_KEY = "another" * 10
    with pytest.raises(SealBroken, match="another secret key"):
        now.password()
    assert routes.alter(COMMAND, made.pk, {"username": ""}).password() == ""


def test_what_is_not_there_or_taken_is_not_changed() -> None:
    made = routes.create(COMMAND, "backup", "relay", RELAY)
    routes.create(COMMAND, "spare", "mx", {})
    with pytest.raises(Taken, match="already"):
        routes.alter(COMMAND, made.pk, {"name": "spare"})
    with pytest.raises(Wrong, match="port"):
        routes.alter(COMMAND, made.pk, {"port": 70000})
    with pytest.raises(AccessError, match="no route 4711"):
        routes.alter(COMMAND, 4711, {})
    with pytest.raises(NotAllowed):
        routes.alter(by("vera", "operate"), made.pk, {"host": "evil.example"})
    assert Route.objects.get(pk=made.pk).leads_to == "smtp.example.net:587"


@pytest.mark.parametrize(
    ("name", "kind", "values", "field"),
    [
        ("", "mx", {}, "name"),
        ("default", "mx", {}, "name"),
        ("a b", "mx", {}, "name"),
        ("a", "fax", {}, "kind"),
        ("a", "relay", {}, "host"),
        ("a", "relay", {"host": "x y"}, "host"),
        ("a", "relay", {"host": "x", "port": 70000}, "port"),
        ("a", "relay", {"host": "x", "password": "p"}, "username"),
        ("a", "relay", {"host": "x", "tls": "maybe"}, "tls"),
        ("a", "mx", {"pattern": "*.example.com"}, "pattern"),
        ("a", "mx", {"pool": 99}, "pool"),
    ],
)
def test_what_can_not_be_is_refused_by_its_field(
    name: str, kind: str, values: dict[str, Any], field: str
) -> None:
    with pytest.raises(Wrong) as caught:
        routes.create(COMMAND, name, kind, values)
    assert caught.value.field == field
    assert not Route.objects.exists()


def test_a_domain_is_led_and_let_go_again() -> None:
    row = delivery("a@x.test")
    routes.create(COMMAND, "backup", "relay", RELAY)
    assert routes.lead_domain(COMMAND, "X.test", "backup").route == Route.objects.get()
    assert routes.lead_domain(COMMAND, "x.test", "default").route is None
    told = [
        event.detail["after"] for event in AuditEvent.objects.filter(action="domain.route").order_by("id")
    ]
    assert told == ["backup", "default"]
    with pytest.raises(Wrong, match="one of default, backup"):
        routes.lead_domain(COMMAND, "x.test", "nowhere")
    with pytest.raises(NotAllowed):
        routes.lead_domain(by("vera", "operate"), "x.test", "backup")
    assert AuditEvent.objects.filter(is_refused=True, actor="vera").exists()
    assert RecipientDomain.objects.get(pk=row.domain_id).route is None


def test_it_stays_while_something_is_led_by_it() -> None:
    row = delivery("a@x.test")
    made = routes.create(COMMAND, "backup", "relay", RELAY)
    Delivery.objects.filter(pk=row.pk).update(route=made)
    with pytest.raises(Taken, match="route:backup"):
        routes.delete(COMMAND, made.pk)
    Delivery.objects.filter(pk=row.pk).update(state="delivered")
    routes.lead_domain(COMMAND, "x.test", "backup")
    with pytest.raises(Taken, match=r"x\.test is led"):
        routes.delete(COMMAND, made.pk)
    routes.lead_domain(COMMAND, "x.test", "default")
    routes.delete(COMMAND, made.pk)
    assert not Route.objects.exists()
    with pytest.raises(AccessError, match="no route"):
        routes.delete(COMMAND, made.pk)
