"""`doctor why` tells in a terminal why mail waits."""

from __future__ import annotations

import json

import pytest

from tests.management.calls import manage
from tests.watch.diagnosis.queue import deferred, looked

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]


def test_it_tells_cause_proof_and_remedy_in_plain_text() -> None:
    deferred(3, "421 4.7.28 unusual rate of mail \x1b[31m", "rate_limited")
    looked()
    done = manage("doctor", "why")
    assert done.code == 1
    for expected in (
        "1. The receiver limits our rate: 3 deliveries wait",
        "3 × 421 4.7.28 unusual",
        "→ Give the site",
    ):
        assert expected in done.out
    assert "\x1b" not in done.out


@pytest.mark.parametrize("scope", ["domain:example.net", "sender:ann@example.com", "site:mx.example.net"])
def test_it_tells_of_one_scope_as_json(scope: str) -> None:
    deferred(3, "450 4.7.1 Greylisted", "greylisted")
    looked()
    done = manage("doctor", "why", scope, "--json")
    [cause] = json.loads(done.out)["causes"][-1:]
    assert (cause["cause"], cause["n"]) == ("greylisting", 3)
    assert done.code == 0  # nothing that a person has to do


def test_nobody_has_looked() -> None:
    done = manage("doctor", "why")
    assert (done.code, "Nobody has looked yet" in done.out) == (1, True)
    looked()
    assert manage("doctor", "why").out.strip() == "The queue is flowing."


@pytest.mark.parametrize("scope", ["example.net", "planet:mars", "domain:none.example"])
def test_a_scope_that_cannot_be_is_named(scope: str) -> None:
    done = manage("doctor", "why", scope)
    assert done.code == 2
    assert scope.partition(":")[2] in done.err
