"""A listing of one of our sources: which pairs it hurts, and which it does not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from django.utils import timezone

from queueapp.access import egress
from queueapp.access.change import COMMAND
from queueapp.engine.rules import listings, ruleset, shipped
from queueapp.engine.rules.listings import Listed
from queueapp.engine.rules.ruleset import Rule
from queueapp.models import BackoffRule, Effect, EgressSource, Listing, RecipientDomain, Site, Suspension

pytestmark = [pytest.mark.django_db, pytest.mark.once, pytest.mark.usefixtures("valkey")]
LISTED = Listed("127.0.0.11", "zen", "danger", "spam was seen")


@pytest.fixture
def rule() -> Rule:
    shipped.sync()
    for number, name in ((11, "a"), (12, "b")):
        values = {"name": name, "address": f"127.0.0.{number}", "ehlo_name": f"{name}.example.com"}
        egress.create_source(COMMAND, values)
    ids = EgressSource.objects.values_list("pk", flat=True)
    egress.create_pool(COMMAND, "main", [(pk, 1) for pk in ids])
    for name, n in (("example.net", 5), ("idle.example", 0)):
        site = Site.objects.create(key=name, name=name, route="mx")
        RecipientDomain.objects.create(name=name, site=site, n_queued=n)
    [found] = ruleset.enabled("listing")
    return found


def test_mail_goes_round_a_listed_source_where_mail_waits(rule: Rule) -> None:
    assert listings.answer([rule], [LISTED]) == 1
    found = Effect.objects.get()
    assert (found.label, found.action) == ("a at example.net", "other_source")
    assert found.reply == "127.0.0.11 is listed by zen: spam was seen"
    assert Suspension.objects.get().is_soft
    assert listings.answer([rule], [LISTED]) == 0, "it holds already"


@pytest.mark.parametrize(
    "listed", [replace(LISTED, severity="warning"), replace(LISTED, address="192.0.2.1")]
)
def test_what_hardly_anybody_asks_or_is_not_ours_counts_for_nothing(rule: Rule, listed: Listed) -> None:
    assert listings.answer([rule], [listed]) == 0


def test_a_rule_that_names_its_lists_goes_by_these_alone(rule: Rule) -> None:
    mine = replace(rule, lines=frozenset({"small"}))
    assert listings.answer([mine], [LISTED]) == 0
    assert listings.answer([mine], [replace(LISTED, list_name="Small", severity="info")]) == 1


def test_without_a_way_round_nothing_is_gained(rule: Rule) -> None:
    EgressSource.objects.filter(name="b").update(is_active=False)
    assert listings.answer([rule], [LISTED]) == 0


def test_it_looks_at_what_the_checks_confirmed(rule: Rule) -> None:
    basis = {"kind": "ip4", "state": "listed", "since": timezone.now(), "severity": "danger"}
    Listing.objects.create(list_name="zen", target="127.0.0.11", is_confirmed=True, **basis)
    Listing.objects.create(list_name="zen", target="127.0.0.12", is_confirmed=False, **basis)
    assert listings.look() == 1
    assert Effect.objects.get().label == "a at example.net"
    BackoffRule.objects.filter(key="listed").update(is_enabled=False)
    assert listings.look() == 0
