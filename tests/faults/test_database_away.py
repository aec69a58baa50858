"""PostgreSQL goes away while mail comes in and goes out: what was accepted arrives, once, and who
submits meanwhile is told to try later."""

from __future__ import annotations

import json
import smtplib
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.flows.settled import archive, key, until
from tests.postgres import PostgresServer
from tests.system import System

# These bring their own server; one run of them is enough.
pytestmark = [pytest.mark.system, pytest.mark.once]


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server


@pytest.fixture(scope="module")
def system(postgres: PostgresServer) -> Iterator[System]:
    with System(database_url=postgres.create_database()) as running:
        key(running)
        yield running


def submit(system: System, recipient: str) -> int:
    """The reply code of one submission by SMTP."""
    with smtplib.SMTP(*system.smtp_address, timeout=30) as client:
        try:
            client.sendmail("a@b.test", [recipient], b"Subject: away\r\n\r\nhello\r\n")
        except smtplib.SMTPResponseException as error:
            return error.smtp_code
    return 250


def post(system: System, recipient: str, known_key: str) -> int:
    body = json.dumps({"from": "a@b.test", "to": [recipient], "subject": "x", "text": "y"}).encode()
    headers = {"Authorization": f"Bearer {known_key}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{system.http}/api/v1/messages", data=body, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def received(system: System) -> Counter[str]:
    return Counter(receipt.recipient for receipt in archive(system).receipts())


def test_what_was_accepted_arrives_once_and_the_rest_is_told_to_wait(
    system: System, postgres: PostgresServer
) -> None:
    known_key = key(system)
    accepted = [to for to in (f"before{n}@away.test" for n in range(50)) if submit(system, to) == 250]
    postgres.go_away()
    by_smtp = {submit(system, f"during{n}@away.test") for n in range(5)}
    by_http = post(system, "during@away.test", known_key)
    time.sleep(2)
    postgres.come_back()
    assert by_smtp == {451}
    assert by_http == 503
    until(lambda: submit(system, "after@away.test") == 250, 30, "it does not take mail again")
    accepted.append("after@away.test")
    until(lambda: set(received(system)) >= set(accepted), 90, "what was accepted did not arrive")
    assert received(system) == Counter(accepted)


def test_readyz_says_so_and_livez_does_not_mind(system: System, postgres: PostgresServer) -> None:
    def status(path: str) -> int:
        try:
            with urllib.request.urlopen(system.http + path, timeout=20) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    assert status("/readyz") == 200
    postgres.go_away()
    try:
        assert status("/livez") == 200
        assert status("/readyz") == 503
    finally:
        postgres.come_back()
    until(lambda: status("/readyz") == 200, 30, "it does not get ready again")


def test_no_part_had_to_be_started_again(system: System) -> None:
    parts = json.loads((system.home / "parts.json").read_text())["parts"]
    assert {part["name"]: part["n_restarts"] for part in parts if part["n_restarts"]} == {}
