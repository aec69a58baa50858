"""Who works here, with their keys and ways out: rows for pictures, not for tests."""

# ruff: noqa: E501  a row is a line

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from queueapp.access import actions, people, refusals, routes
from queueapp.access.change import COMMAND, Actor
from queueapp.models import ApiKey, SmtpLogin

_PEOPLE = (
    ("grace", "administrator", 2), ("ada", "operator", 11), ("otto", "operator", 180), ("carla", "campaigns", 55),
    ("vera", "viewer", 1500),
)  # fmt: skip
_KEYS = (
    ("webshop", ("submit", "read"), 1), ("monitoring", ("read",), 4), ("newsletter", ("submit", "campaigns"), 400),
    ("old-crm", ("submit",), None),
)  # fmt: skip
GRACE = Actor("user:grace", COMMAND.scopes, "192.0.2.7")


def fill(now: datetime | None = None) -> int:
    """Gives the number of a person."""
    from django.contrib.auth.models import User

    now = now or datetime.now(UTC)
    shown, password = 0, User.objects.get(username="admin").password
    for name, role, minutes in _PEOPLE:
        user = people.create(COMMAND, name, role)
        values = {"last_login": now - timedelta(minutes=minutes), "password": password}
        User.objects.filter(pk=user.pk).update(**values)
        shown = user.pk if name == "ada" else shown
    for name, scopes, minutes in _KEYS:
        actions.create_api_key(name, list(scopes), actor=GRACE)
        used = None if minutes is None else now - timedelta(minutes=minutes)
        ApiKey.objects.filter(name=name).update(last_used_at=used)
    actions.revoke_api_key("old-crm", actor=GRACE)
    for name in ("printer-2nd-floor", "intranet"):
        actions.create_smtp_login(name, actor=GRACE)
    SmtpLogin.objects.filter(name="intranet").update(last_used_at=now - timedelta(minutes=3))
    routes.create(
        GRACE,
        "backup",
        "relay",
        {"host": "smtp.relay.example", "port": 587, "tls": "required", "username": "shop"},
    )
    routes.create(
        GRACE, "banks", "relay", {"host": "mx.partner.example", "pattern": ".bank.example", "position": 10}
    )
    routes.create(GRACE, "tests", "sandbox", {"pattern": ".test", "position": 90})
    refusals.note("user:vera", "192.0.2.31", "http.get", "/messages/812/source", {"needs": "bodies"})
    return shown
