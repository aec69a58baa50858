"""A key is seen by the name server and by nobody else; what a list writes is cleaned and bounded."""

from __future__ import annotations

import io
import json
import logging

import pytest
from django.core.management import call_command
from django.utils import timezone

from queueapp.models import BlocklistTest, Listing, ListingChange
from queueapp.watch.blocklists import run
from queueapp.watch.blocklists.lists import LISTS
from tests.dashboard.people import as_role
from tests.watch.blocklists.zones import KEY, OURS, a_source, asking, checked, listed

pytestmark = [pytest.mark.django_db, pytest.mark.once]
ZONE = f"{KEY}.zen.dq.spamhaus.net"
KEYS = (("spamhaus", KEY),)
NOW = timezone.now()


def everything_stored() -> str:
    models = (Listing, ListingChange, BlocklistTest)
    return json.dumps([list(model.objects.values()) for model in models], default=str)


@pytest.mark.parametrize("kind", ["listed", "refused", "servfail", "hang", "dead"])
def test_the_key_is_shown_nowhere(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    a_source()
    with asking("spamhaus-zen", timeout=0.5 if kind == "hang" else 20.0, blocklist_keys=KEYS) as server:
        if kind == "listed":
            listed(server, ZONE, "127.0.0.2")
            listed(server, ZONE, OURS, "127.0.0.3", text=f"see {ZONE.upper()} and {KEY}")
        elif kind != "dead":
            server.records[f"*.{ZONE}"] = kind
        row = checked(NOW)
        assert row.state == {"listed": "listed", "dead": "error"}.get(kind, "unknown")
        assert any(ZONE in name for name, _ in server.queries)
        out = io.StringIO()
        call_command("blocklists", json=True, stdout=out)
        client = as_role("administrator")
        pages = [
            client.get(path).text for path in ("/blocklists", f"/blocklists/{row.pk}", "/api/v1/blocklists")
        ]
    shown = [everything_stored(), out.getvalue(), caplog.text, *pages]
    assert not [each for each in shown if KEY.lower() in each.lower()]
    if kind == "listed":
        assert row.reason == "see ….zen.dq.spamhaus.net and …".replace(
            "zen.dq.spamhaus.net", "ZEN.DQ.SPAMHAUS.NET"
        )


def test_a_pair_that_cannot_be_asked_spoils_no_other_and_says_why(caplog: pytest.LogCaptureFixture) -> None:
    a_source()
    a_source("45.67.89.11")
    with asking("spamhaus-zen", blocklist_keys=KEYS) as server:
        listed(server, ZONE, "127.0.0.2")
        run.arrange()
        # As if the database were broken.
        Listing.objects.filter(target=OURS).update(target=f"{KEY}.not-an-address")
        Listing.objects.update(next_check_at=NOW)
        assert run.batch(NOW) == 2
    assert set(Listing.objects.values_list("state", flat=True)) == {"clean", "unknown"}
    error = Listing.objects.get(state="unknown").error
    assert "….not-an-address" in error
    assert KEY not in error + caplog.text
    assert "could not be asked" in caplog.text


def test_a_hostile_reason_becomes_one_bounded_line() -> None:
    a_source()
    with asking("psbl") as server:
        listed(
            server,
            LISTS["psbl"].zone,
            OURS,
            text="\x1b[31m<script>alert(1)</script>\r\n\0\u202e" + "x" * 1500,
        )
        row = checked(NOW)
        page = as_role("viewer").get("/blocklists").text
    assert row.reason.startswith("[31m<script>alert(1)</script>")
    assert row.reason.isprintable()
    assert len(row.reason) <= 1000
    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)" in page
