"""The gate: what it takes, what it stores, and what it refuses with which words."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection, connections, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from queueapp import conf, stats
from queueapp.engine.writer import GroupCommit
from queueapp.ingest import accept as gate
from queueapp.ingest.accept import accept, accept_async
from queueapp.ingest.submission import Refused, Submission, TryLater
from queueapp.models import Attempt, Body, Delivery, Message, RecipientDomain, Suppression

CONTENT = b"From: ann@example.com\r\nSubject: Tea\r\nMessage-ID: <1@example.com>\r\n\r\nAt five.\r\n"


def submission(*recipients: str, **values: Any) -> Submission:
    basis: dict[str, Any] = {
        "sender": "ann@example.com",
        "recipients": recipients or ("bob@example.net",),
        "content": CONTENT,
        "source": "smtp",
    }
    return Submission(**basis | values)


# ── What is stored ────────────────────────────────────────────────────────────────────────────


@pytest.mark.django_db
def test_it_stores_message_body_deliveries_counters_and_rollup() -> None:
    accepted = accept(submission("bob@example.net", "eve@example.net", "joe@example.org", client="192.0.2.1"))
    message = Message.objects.get()
    assert accepted.message_id == message.pk
    assert (message.subject, message.client) == ("Tea", "192.0.2.1")
    assert message.message_id.strip("<>") == "1@example.com"
    assert bytes(Body.objects.get().content) == CONTENT
    assert [(to, state) for _, to, state in accepted.deliveries] == [
        ("bob@example.net", "queued"),
        ("eve@example.net", "queued"),
        ("joe@example.org", "queued"),
    ]
    assert {d.name: d.n_queued for d in RecipientDomain.objects.all()} == {"example.net": 2, "example.org": 1}
    assert stats.depth()["queued"] == 3
    now = timezone.now()
    assert sum(n for _, n in stats.series("accepted", now - timedelta(minutes=2), now, 60)) == 3


@pytest.mark.django_db
def test_it_makes_the_domain_due_at_once() -> None:
    accept(submission())
    assert RecipientDomain.objects.get().due_at <= timezone.now()


@pytest.mark.django_db
def test_it_takes_a_recipient_that_is_named_twice_once() -> None:
    accepted = accept(submission("bob@example.net", "bob@EXAMPLE.net", "Bob@example.net"))
    assert [to for _, to, _ in accepted.deliveries] == ["bob@example.net", "Bob@example.net"]
    assert Message.objects.get().n_recipients == 2


@pytest.mark.django_db
def test_it_takes_the_null_sender() -> None:
    accept(submission(sender=""))
    assert Message.objects.get().sender == ""


@pytest.mark.django_db
def test_it_mends_line_ends_and_nothing_else() -> None:
    accept(submission(content=b"Subject: x\n\nbare\rmixed\r\nlast"))
    assert bytes(Body.objects.get().content) == b"Subject: x\r\n\r\nbare\r\nmixed\r\nlast\r\n"


@pytest.mark.django_db
def test_it_keeps_tags_priority_and_login() -> None:
    accept(submission(tags=("spring", "día"), priority=9, login="shop"))
    message = Message.objects.get()
    assert (message.tags, message.priority, message.login) == (["spring", "día"], 9, "shop")
    assert Delivery.objects.get().priority == 9


@pytest.mark.django_db
def test_it_waits_until_send_at() -> None:
    at = timezone.now() + timedelta(hours=3)
    accept(submission(send_at=at))
    delivery = Delivery.objects.get()
    assert delivery.next_attempt_at == at
    assert delivery.expires_at == at + conf.current().max_age
    assert RecipientDomain.objects.get().due_at == at


@pytest.mark.django_db
def test_it_does_not_expire_what_should_have_gone_long_ago() -> None:
    accept(submission(send_at=timezone.now() - timedelta(days=30)))
    assert Delivery.objects.get().expires_at > timezone.now() + timedelta(days=4)


@pytest.mark.django_db
def test_it_obeys_expires_at() -> None:
    at = timezone.now() + timedelta(hours=1)
    accept(submission(expires_at=at))
    assert Delivery.objects.get().expires_at == at


@pytest.mark.django_db
def test_a_suppressed_recipient_is_final_at_once_and_says_why() -> None:
    Suppression.objects.create(
        address="bob@example.net",
        reply_class="no_such_user",
        reason="No such user",
        created_at=timezone.now(),
    )
    accepted = accept(submission("Bob@example.net", "eve@example.net"))
    assert [state for _, _, state in accepted.deliveries] == ["bounced", "queued"]
    row = Delivery.objects.get(recipient="Bob@example.net")
    assert (row.last_class, row.last_text) == ("suppressed", "suppressed: No such user")
    assert row.finished_at is not None
    assert row.next_attempt_at is None
    attempt = Attempt.objects.get()
    assert (attempt.delivery_id, attempt.result, attempt.reply_class) == (row.pk, "bounced", "suppressed")
    domain = RecipientDomain.objects.get()
    assert (domain.n_bounced, domain.n_queued) == (1, 1)


@pytest.mark.django_db
def test_a_domain_of_suppressed_recipients_only_is_never_due() -> None:
    Suppression.objects.create(
        address="bob@example.net", reply_class="no_such_user", reason="x", created_at=timezone.now()
    )
    accept(submission())
    assert RecipientDomain.objects.get().due_at is None


@pytest.mark.django_db
@pytest.mark.parametrize(
    "header",
    [
        b"Subject: a\x01\x1b[31mb",
        b"Subject: =?utf-8?q?a=00b?=",
        b"Subject: =?utf-8?b?7aCA?=",
        b"Subject: \xff\xfe\xed\xa0\x80",
    ],
)
def test_it_stores_hostile_headers_on_every_database(header: bytes) -> None:
    accept(submission(content=header + b"\r\nFrom: \x80\xff\r\nMessage-ID: <\xc3>\r\n\r\nx\r\n"))
    message = Message.objects.get()
    assert all(text.isprintable() for text in (message.subject, message.from_header, message.message_id))


@pytest.mark.django_db
def test_it_stores_what_a_hostile_client_says_of_itself() -> None:
    accept(
        submission(helo="a\0b\ud800\r\n" + "x" * 400, client="\x00" * 100, login="l\0" * 200, protocol="E\0")
    )
    message = Message.objects.get()
    assert message.helo.startswith("a?b???x")
    assert len(message.helo) == 255


# ── What is refused ───────────────────────────────────────────────────────────────────────────

_SOON = timedelta(hours=1)
REFUSALS: dict[str, tuple[dict[str, Any], int, str, str, int]] = {
    "no recipient": ({"recipients": ()}, 554, "5.5.1", "to", 422),
    "no domain": ({"recipients": ("bob",)}, 553, "5.1.3", "to", 422),
    "no domain after the at": ({"recipients": ("bob@",)}, 553, "5.1.3", "to", 422),
    "400 characters": ({"recipients": ("b" * 388 + "@example.net",)}, 553, "5.1.3", "to", 422),
    "NUL in a recipient": ({"recipients": ("b\0b@example.net",)}, 553, "5.1.3", "to", 422),
    "line break in a recipient": (
        {"recipients": ("b@example.net\r\nRCPT TO:<x@y.z>",)},
        553,
        "5.1.3",
        "to",
        422,
    ),
    "address literal": ({"recipients": ("bob@[192.0.2.1]",)}, 553, "5.1.2", "to", 422),
    "one bad among good": ({"recipients": ("bob@example.net", "bad")}, 553, "5.1.3", "to", 422),
    "NUL in the sender": ({"sender": "a\0@example.com"}, 553, "5.1.7", "from", 422),
    "sender without a domain": ({"sender": "ann"}, 553, "5.1.7", "from", 422),
    "sender of 400 characters": ({"sender": "a" * 388 + "@example.com"}, 553, "5.1.7", "from", 422),
    "NUL in the content": ({"content": b"Subject: x\r\n\r\na\0b\r\n"}, 554, "5.6.0", "content", 422),
    "empty": ({"content": b""}, 554, "5.6.0", "content", 422),
    "only line ends": ({"content": b"\r\n \r\n"}, 554, "5.6.0", "content", 422),
    "51 Received": ({"content": b"Received: x\r\n" * 51 + b"\r\nx\r\n"}, 554, "5.4.6", "content", 422),
    "priority 10": ({"priority": 10}, 501, "5.5.4", "priority", 422),
    "priority -1": ({"priority": -1}, 501, "5.5.4", "priority", 422),
    "tag of 65": ({"tags": ("x" * 65,)}, 501, "5.5.4", "tags", 422),
    "empty tag": ({"tags": ("",)}, 501, "5.5.4", "tags", 422),
    "tag with a line break": ({"tags": ("a\nb",)}, 501, "5.5.4", "tags", 422),
    "21 tags": ({"tags": tuple(map(str, range(21)))}, 501, "5.5.4", "tags", 422),
    "key of 256": ({"idempotency_key": "k" * 256}, 501, "5.5.4", "idempotency_key", 422),
    "key with a NUL": ({"idempotency_key": "k\0"}, 501, "5.5.4", "idempotency_key", 422),
    "send_at without a zone": ({"send_at": datetime(2030, 1, 1)}, 501, "5.5.4", "send_at", 422),
    "expires_at without a zone": ({"expires_at": datetime(2030, 1, 1)}, 501, "5.5.4", "expires_at", 422),
    "expires in the past": (
        {"expires_at": datetime(2020, 1, 1, tzinfo=UTC)},
        501,
        "5.5.4",
        "expires_at",
        422,
    ),
}


@pytest.mark.django_db
@pytest.mark.parametrize("name", REFUSALS)
def test_it_refuses(name: str) -> None:
    values, code, enhanced, field, status = REFUSALS[name]
    with pytest.raises(Refused) as caught:
        accept(submission(**values))
    refused = caught.value
    assert (refused.code, refused.enhanced, refused.field, refused.status) == (code, enhanced, field, status)
    assert refused.text
    assert "\0" not in refused.text
    assert "\n" not in refused.text
    assert not Message.objects.exists()


@pytest.mark.django_db
def test_it_takes_50_received() -> None:
    accept(submission(content=b"Received: x\r\n" * 50 + b"\r\nx\r\n"))


@pytest.mark.django_db
def test_it_refuses_what_expires_before_it_is_sent() -> None:
    now = timezone.now()
    with pytest.raises(Refused, match="before the mail could go"):
        accept(submission(send_at=now + 2 * _SOON, expires_at=now + _SOON))
    with pytest.raises(Refused, match="before the mail could go"):
        accept(submission(send_at=now - 2 * _SOON, expires_at=now - _SOON))


@pytest.mark.django_db
def test_it_refuses_a_send_at_of_years_ahead() -> None:
    with pytest.raises(Refused, match="more than a year ahead"):
        accept(submission(send_at=timezone.now() + timedelta(days=400)))


@pytest.mark.django_db
def test_it_refuses_what_is_too_large_with_its_own_codes() -> None:
    with (
        conf.override(max_size=1000),
        pytest.raises(Refused, match="1001 bytes are more than the 1000") as caught,
    ):
        accept(submission(content=b"x" * 499 + b"\r\n" + b"x" * 498 + b"\r\n"))
    assert (caught.value.code, caught.value.enhanced, caught.value.status) == (552, "5.3.4", 413)


@pytest.mark.django_db
def test_it_refuses_too_many_recipients_by_count() -> None:
    with (
        conf.override(max_recipients=3),
        pytest.raises(Refused, match="4 recipients are more than the 3") as caught,
    ):
        accept(submission(*(f"r{n}@example.net" for n in range(4))))
    assert (caught.value.code, caught.value.enhanced, caught.value.field) == (452, "4.5.3", "to")


@pytest.mark.django_db
@pytest.mark.parametrize("end", [b"\r\n", b"\n", b"\r"])
def test_it_takes_lines_of_998_and_names_one_of_999(end: bytes) -> None:
    accept(submission(content=end.join([b"Subject: x", b"", b"y" * 998, b"z" * 998, b"w" * 998])))
    with pytest.raises(Refused, match="is longer than 998 octets") as caught:
        accept(submission(content=end.join([b"Subject: x", b"", b"y" * 998, b"z" * 999, b"w"])))
    if end != b"\r":
        assert "line 4" in caught.value.text
    with pytest.raises(Refused, match="longer than 998"):
        accept(submission(content=end.join([b"Subject: x", b"", b"w" * 999])))


def test_lines_that_are_almost_too_long_cost_no_time() -> None:
    content = b"Subject: x\r\n\r\n" + (b"y" * 998 + b"\r\n") * 10_000
    start = time.perf_counter()
    assert gate._long_line(content) is None
    assert time.perf_counter() - start < 1.0


# ── Transactions ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.django_db(transaction=True)
def test_a_synchronous_accept_is_rolled_back_with_its_caller() -> None:
    with transaction.atomic():
        accept(submission())
        transaction.set_rollback(True)
    assert not Message.objects.exists()
    # A domain that was new in the lost transaction is found again.
    assert accept(submission()).deliveries
    assert Delivery.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_refusal_leaves_the_callers_transaction_usable() -> None:
    with transaction.atomic():
        with pytest.raises(Refused):
            accept(submission("bad"))
        accept(submission())
    assert Message.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_concurrent_accepts_share_commits() -> None:
    n_commits = 0
    real = gate._settle

    def slow(batch: list[Any]) -> Any:
        nonlocal n_commits
        n_commits += 1
        time.sleep(0.05)  # a disk
        return real(batch)

    async def main() -> list[Any]:
        gate._writers[os.getpid()] = GroupCommit("accept", slow)
        return await asyncio.gather(*(accept_async(submission(f"r{n}@example.net")) for n in range(40)))

    try:
        accepted = asyncio.run(main())
    finally:
        gate._writers.pop(os.getpid()).close()
    assert len({each.message_id for each in accepted}) == Message.objects.count() == 40
    assert n_commits <= 4
    assert RecipientDomain.objects.get().n_queued == 40


@pytest.mark.django_db(transaction=True)
def test_it_answers_only_after_the_commit() -> None:
    async def main() -> int:
        accepted = await accept_async(submission())
        return await asyncio.to_thread(_count_alone, accepted.message_id)

    try:
        assert asyncio.run(main()) == 1
    finally:
        _close_writer()


def _count_alone(message_id: int) -> int:
    try:
        return Message.objects.filter(pk=message_id).count()
    finally:
        connections.close_all()


def _close_writer() -> None:
    writer = gate._writers.pop(os.getpid(), None)
    if writer:
        writer.close()


@pytest.mark.django_db(transaction=True)
def test_one_bad_item_does_not_spoil_the_batch() -> None:
    """The gate lets nothing through that the database refuses; so it is put in behind it."""
    good = [gate._prepare(submission(f"g{n}@example.net")) for n in range(3)]
    bad = gate._prepare(submission("bad@example.org"))
    bad.new.message.source = None  # type: ignore[assignment]
    started, go = threading.Event(), threading.Event()

    def commit(batch: list[Any]) -> Any:
        if batch == ["hold"]:
            started.set()
            go.wait(10)
            return [None]
        return gate._settle(batch)

    async def submit() -> list[Any]:
        writer: GroupCommit[Any, Any] = GroupCommit("accept", commit)
        hold = writer.submit("hold")
        assert await asyncio.to_thread(started.wait, 10)
        futures = [writer.submit(each) for each in (good[0], bad, *good[1:])]
        go.set()
        found = await asyncio.wait_for(asyncio.gather(hold, *futures, return_exceptions=True), 10)
        await asyncio.to_thread(writer.close)
        return found[1:]

    first, error, *others = asyncio.run(submit())
    assert all(each.deliveries for each in (first, *others))
    assert isinstance(error, DatabaseError)
    assert sorted(Delivery.objects.values_list("recipient", flat=True)) == [
        f"g{n}@example.net" for n in range(3)
    ]
    assert {each.name: each.n_queued for each in RecipientDomain.objects.all()}["example.net"] == 3


@pytest.mark.django_db(transaction=True)
def test_a_retried_item_never_takes_anothers_id() -> None:
    """SQLite hands ids out again that a failed batch had taken."""
    first, second = (gate._prepare(submission(f"{n}@example.net")) for n in "ab")
    with transaction.atomic():
        gate._settle([first, second])
        transaction.set_rollback(True)
    other = accept(submission("c@example.net"))
    ids = {each.message_id for each in (*gate._settle([first]), *gate._settle([second]), other)}
    assert len(ids) == 3
    assert Body.objects.count() == 3


@pytest.mark.django_db(transaction=True)
def test_an_accept_costs_few_queries() -> None:
    accept(submission())
    with CaptureQueriesContext(connection) as queries:
        accept(submission(*(f"r{n}@example.net" for n in range(100))))
    assert len(queries) <= 15, [each["sql"][:90] for each in queries]


# ── When the database does not take it ────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "code", "enhanced", "status"),
    [
        ("database or disk is full", 452, "4.3.1", 507),
        ("could not extend file: No space left on device", 452, "4.3.1", 507),
        ("connection refused", 451, "4.3.0", 503),
    ],
)
def test_it_says_try_later_when_the_database_is_away(
    text: str, code: int, enhanced: str, status: int
) -> None:
    later = gate._later(DatabaseError(text))
    assert isinstance(later, TryLater)
    assert (later.code, later.enhanced, later.status) == (code, enhanced, status)
    assert text not in later.text


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("field", "requires_tls", "demand"),
    [
        (b"TLS-Required: No", False, "waived"),
        (b"tls-required:\r\n no", False, "waived"),
        (b"TLS-Required: No", True, "required"),
        (b"TLS-Required: Yes", False, ""),
        (b"X-TLS-Required: No", False, ""),
        (b"Subject: x", True, "required"),
    ],
)
def test_it_keeps_what_the_sender_demands_of_tls(field: bytes, requires_tls: bool, demand: str) -> None:
    accept(Submission("a@b.test", ("c@d.test",), field + b"\r\n\r\nx\r\n", "smtp", requires_tls=requires_tls))
    assert Message.objects.get().tls_demand == demand
