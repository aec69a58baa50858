"""A runner's life from accept to the sandbox's record, and what it does when things go wrong."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, connections
from django.utils import timezone

from queueapp import conf, events, kick
from queueapp.conf import Address
from queueapp.engine import bodies, claim, delivering, journal
from queueapp.engine import runner as engine_runner
from queueapp.engine.reaper import reap
from queueapp.engine.runner import QueueRunner
from queueapp.models import Attempt, Body, Delivery, RecipientDomain, Route, Runner, Site
from queueapp.sandbox.archive import Archive
from queueapp.sandbox.scenarios import Rules
from queueapp.transports.base import Envelope
from queueapp.transports.smtp.server import Reply, ServerSession
from tests.engine.queue import n_wrong_counters, put, run_once, sandbox, states
from tests.transports.serving import Keeper, serving
from tests.valkey import ValkeyServer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("valkey")]


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    with sandbox(tmp_path, rules=Rules(slow_for=3.0)) as found:
        yield found


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    with conf.override(home=tmp_path):
        yield tmp_path


def is_all_over() -> None:
    """What holds after every clean end."""
    assert not Delivery.objects.filter(state="sending").exists()
    assert not Runner.objects.filter(ended_at__isnull=True).exists()
    assert n_wrong_counters() == 0
    assert list(conf.current().journal.iterdir()) == []


def later(seconds: float, work: Any) -> threading.Timer:
    timer = threading.Timer(seconds, work)
    timer.start()
    return timer


def when(condition: Any, work: Any, deadline: float = 20) -> threading.Thread:
    """Runs `work` in a thread of its own as soon as `condition` holds."""

    def run() -> None:
        try:
            end = time.monotonic() + deadline
            while time.monotonic() < end:
                if condition():
                    work()
                    return
                time.sleep(0.01)
        finally:
            connections.close_all()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def _has_dot() -> bool:
    """A receiver has got a whole mail, and its answer is waited for."""
    folder = conf.current().journal
    kinds = (kind for runner in journal.known_runners(folder) for kind, *_ in journal.replay(folder, runner))
    return "dot" in kinds


def sigterm() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


# ── It delivers ───────────────────────────────────────────────────────────────────────────────


def test_it_delivers_a_mail_with_our_received_line_on_top(archive: Archive) -> None:
    put("bob@example.net", client="192.0.2.7", helo="shop.test", protocol="ESMTP")
    runner = run_once()
    assert states() == {"bob@example.net": "delivered"}
    [mail] = archive.list_mails()
    content = archive.get(mail.id).content  # type: ignore[union-attr]
    assert content.startswith(b"Received: from shop.test ([192.0.2.7])\r\n")
    assert content.endswith(bytes(Body.objects.get().content))
    attempt = Attempt.objects.get()
    assert (attempt.result, attempt.code, attempt.stage, attempt.runner_id) == (
        "delivered",
        250,
        "dot",
        runner.id,
    )
    assert (runner.hands.n_claimed, runner.hands.n_delivered, runner.has_more) == (1, 1, False)
    is_all_over()


def test_it_delivers_many_each_once(archive: Archive) -> None:
    for n in range(120):
        put(f"u{n}@d{n % 9}.test", name=str(n))
    run_once()
    assert set(states().values()) == {"delivered"}
    assert archive.counts().recipients == 120
    assert archive.repeats() == {}
    is_all_over()


def test_recipients_of_one_message_and_site_share_a_transaction(archive: Archive) -> None:
    put(*(f"u{n}@example.net" for n in range(5)))
    run_once()
    [mail] = archive.list_mails()
    assert len(mail.recipients) == 5
    assert len({receipt.mail_id for receipt in archive.receipts()}) == 1
    assert set(states().values()) == {"delivered"}


def test_each_recipient_has_a_fate_of_its_own(archive: Archive) -> None:
    put("ok@example.net", "a+nouser@example.net", "a+defer@example.net", "b@blocked.test")
    run_once()
    assert states() | {"ann@example.com": ""} == {
        "ok@example.net": "delivered",
        "a+nouser@example.net": "bounced",
        "a+defer@example.net": "deferred",
        "b@blocked.test": "bounced",
        "ann@example.com": "",
    }
    found = dict(
        Attempt.objects.filter(delivery__message__source="smtp").values_list(
            "delivery__recipient", "reply_class"
        )
    )
    assert found["a+nouser@example.net"] == "no_such_user"
    assert found["b@blocked.test"] == "blocklisted"
    is_all_over()


def test_a_mail_that_comes_while_it_lingers_goes_within_a_moment(archive: Archive) -> None:
    put("first@example.net", name="1")
    took: list[float] = []

    def second() -> None:
        start = time.monotonic()
        put("second@example.net", name="2")
        while archive.counts().mails < 2 and time.monotonic() - start < 10:
            time.sleep(0.005)
        took.append(time.monotonic() - start)

    thread = when(
        lambda: archive.counts().mails == 1 and not claim.has_claims(Runner.objects.get().pk), second
    )
    run_once(linger=2.0)
    thread.join(10)
    assert set(states().values()) == {"delivered"}
    assert took[0] < 0.9, "it waited for the poll, not for the kick"


def test_large_mails_arrive_whole_within_the_budget(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "LATE_TOTAL", 1_000_000)
    content = b"Subject: x\r\n\r\n" + (b"y" * 70 + b"\r\n") * 9000
    for n in range(4):
        put(f"u{n}@d{n}.test", content=content)
    run_once()
    assert archive.counts().mails == 4
    assert all(len(content) < receipt.size < len(content) + 300 for receipt in archive.receipts())


def test_mail_past_its_end_expires_untried(archive: Archive) -> None:
    put("bob@example.net", expires_at=timezone.now() + timedelta(seconds=0.3))
    time.sleep(0.35)
    run_once()
    row = Delivery.objects.get(recipient="bob@example.net")
    assert (row.state, row.last_class, row.n_attempts) == ("expired", "expired", 0)
    assert all(receipt.recipient != "bob@example.net" for receipt in archive.receipts())


def test_two_runners_on_one_queue_deliver_each_mail_once(archive: Archive) -> None:
    for n in range(150):
        put(f"u{n}@d{n % 12}.test", name=str(n))
    connections.close_all()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            connections.close_all()
            QueueRunner("runner-1", lifetime=20, linger=0.3).run()
            code = 0
        finally:
            os._exit(code)
    run_once()
    assert os.waitpid(pid, 0)[1] == 0
    assert set(states().values()) == {"delivered"}
    assert archive.counts().recipients == 150
    assert archive.repeats() == {}
    is_all_over()


# ── Sites that fail ───────────────────────────────────────────────────────────────────────────


def test_a_site_that_refuses_connections_backs_off_with_the_cause_on_each_delivery(home: Path) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        with conf.override(sandbox=Address(*nobody.getsockname())):
            for n in range(30):
                put(f"u{n}@down.test", name=str(n))
            run_once()
    site = Site.objects.get()
    assert (site.backoff_class, site.n_failures) == ("connection", 1)
    assert site.backoff_until > timezone.now()
    assert set(states().values()) == {"deferred"}
    assert set(Delivery.objects.values_list("last_class", flat=True)) == {"connection"}
    assert all("refused" in text.lower() for text in Delivery.objects.values_list("last_text", flat=True))
    # What was only set aside comes back soon after the back-off, and counts no attempt.
    aside = Delivery.objects.filter(n_attempts=0)
    assert aside.count() >= 25
    assert all(site.backoff_until <= at <= site.backoff_until + timedelta(seconds=60)
               for at in aside.values_list("next_attempt_at", flat=True))  # fmt: skip
    is_all_over()


def test_a_site_that_answers_again_has_no_back_off(archive: Archive) -> None:
    put("bob@example.net")
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        with conf.override(sandbox=Address(*nobody.getsockname())):
            run_once()
    assert Site.objects.get().n_failures == 1
    now = timezone.now()
    Site.objects.update(backoff_until=now)
    Delivery.objects.update(next_attempt_at=now)
    RecipientDomain.objects.update(due_at=now)
    run_once()
    site = Site.objects.get()
    assert (site.n_failures, site.backoff_class, site.backoff_until) == (0, "", None)
    assert states() == {"bob@example.net": "delivered"}


def test_while_a_site_backs_off_its_mail_is_set_aside_untried(archive: Archive) -> None:
    put("bob@example.net")
    run_once()
    until = timezone.now() + timedelta(minutes=5)
    Site.objects.update(backoff_until=until, backoff_class="busy", backoff_reply="come back", n_failures=1)
    put("eve@example.net")
    run_once()
    row = Delivery.objects.get(recipient="eve@example.net")
    assert (row.state, row.n_attempts, row.last_class, row.last_text) == ("deferred", 0, "busy", "come back")
    assert row.next_attempt_at >= until
    assert archive.counts().mails == 1


def test_a_greeting_that_refuses_us_bounces_nothing(home: Path) -> None:
    """It says something of us, and nothing of the mail."""
    server = socket.create_server(("127.0.0.1", 0))

    def refuse() -> None:
        while True:
            try:
                peer, _ = server.accept()
            except OSError:
                return
            peer.sendall(b"554 5.7.1 your host is blocked\r\n")
            peer.close()

    threading.Thread(target=refuse, daemon=True).start()
    with conf.override(sandbox=Address(*server.getsockname())):
        put("a@x.test", "b@x.test")
        put("c@x.test")
        run_once()
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    assert set(states().values()) == {"deferred"}
    assert all("blocked" in text for text in Delivery.objects.values_list("last_text", flat=True))


class Fussy(Keeper):
    """Takes so many recipients of a mail and no more."""

    def __init__(self, *, most: int) -> None:
        super().__init__()
        self.most = most

    def on_rcpt(self, session: ServerSession, recipient: str) -> Reply | None:
        session.notes["n"] = session.notes.get("n", 0) + 1
        return Reply(452, "4.5.3", "Too many recipients") if session.notes["n"] > self.most else None

    def on_data(self, session: ServerSession, envelope: Envelope) -> Any:
        session.notes["n"] = 0
        return super().on_data(session, envelope)


def relay_to(address: tuple[str, int]) -> None:
    Route.objects.create(pattern="*", kind="relay", host=address[0], port=address[1], tls="none")


def test_recipients_beyond_what_a_receiver_takes_go_again_at_once(home: Path) -> None:
    keeper = Fussy(most=2)
    with serving(keeper) as server:
        relay_to(server.address)
        put(*(f"u{n}@example.net" for n in range(5)))
        run_once()
    assert set(states().values()) == {"delivered"}
    assert sorted(len(mail.recipients) for mail in keeper.mails) == [1, 2, 2]
    assert set(Delivery.objects.values_list("n_attempts", flat=True)) == {1}


def test_a_receiver_that_takes_no_recipient_is_not_asked_for_ever(home: Path) -> None:
    with serving(Fussy(most=0)) as server:
        relay_to(server.address)
        put("a@x.test", "b@x.test")
        run_once()
    assert set(states().values()) == {"deferred"}
    assert Attempt.objects.count() == 2


@pytest.mark.parametrize("last_word", [b"", b"421 4.4.2 idle for too long\r\n"])
def test_a_kept_session_that_was_closed_meanwhile_is_no_failure(home: Path, last_word: bytes) -> None:
    """A scripted receiver: one mail a connection, then it hangs up, in silence or with a word."""
    receiver = OneMailEach(last_word)
    with receiver as address:
        relay_to(address)
        for n in range(12):
            put(f"u{n}@example.net", name=str(n))
        run_once()
    assert set(states().values()) == {"delivered"}
    assert receiver.n_mails == 12
    assert not Attempt.objects.exclude(result="delivered").exists()
    assert Site.objects.get().n_failures == 0


def test_a_receiver_that_takes_mail_and_hangs_up_without_a_word_is_left_alone(home: Path) -> None:
    receiver = OneMailEach(b"", answer=b"")
    with receiver as address:
        relay_to(address)
        for n in range(60):
            put(f"u{n}@example.net", name=str(n))
        run_once()
    assert 2 <= receiver.n_mails <= 4  # two sessions to begin with, and what they had begun meanwhile
    assert set(states().values()) == {"deferred"}
    assert Delivery.objects.filter(is_ambiguous=True).count() == receiver.n_mails
    assert Delivery.objects.filter(n_attempts=0, is_ambiguous=False).count() == 60 - receiver.n_mails
    site = Site.objects.get()
    assert (site.backoff_class, site.n_failures) == ("connection", 1)
    is_all_over()


class OneMailEach:
    """The smallest receiver that closes after each mail."""

    def __init__(self, last_word: bytes, answer: bytes = b"250 ok\r\n") -> None:
        self.last_word, self.answer, self.n_mails = last_word, answer, 0

    def __enter__(self) -> tuple[str, int]:
        self.server = socket.create_server(("127.0.0.1", 0), backlog=50)
        threading.Thread(target=self._serve, daemon=True).start()
        return self.server.getsockname()

    def __exit__(self, *_: object) -> None:
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self.server.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(peer,), daemon=True).start()

    def _talk(self, peer: socket.socket) -> None:
        with peer, peer.makefile("rb") as lines:
            peer.sendall(b"220 mail.test\r\n")
            for line in lines:
                word = line[:4].upper()
                if word == b"DATA":
                    peer.sendall(b"354 go on\r\n")
                    while lines.readline() not in (b".\r\n", b""):
                        pass
                    self.n_mails += 1
                    peer.sendall(self.answer)
                    time.sleep(0.01)
                    peer.sendall(self.last_word)
                    return
                peer.sendall(b"221 bye\r\n" if word == b"QUIT" else b"250 ok\r\n")


# ── Stops ─────────────────────────────────────────────────────────────────────────────────────


def test_sigterm_gives_back_what_was_not_tried_and_ends_soon(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_runner, "STOP_GRACE", 60.0)
    for n in range(60):
        put(f"slow{n}+slow@d{n % 2}.test", name=str(n))
    started = time.monotonic()
    thread = when(lambda: Delivery.objects.filter(state="sending").count() == 60, sigterm)
    runner = run_once()
    took = time.monotonic() - started
    thread.join(5)
    assert took < 30  # to deliver all would take over 60
    assert not runner.has_more
    found = list(states().values())
    assert found.count("queued") > 40
    assert set(found) <= {"queued", "delivered"}
    queued = Delivery.objects.filter(state="queued")
    assert set(queued.values_list("n_attempts", "n_reaped")) == {(0, 0)}
    assert RecipientDomain.objects.filter(due_at__lte=timezone.now()).exists()
    is_all_over()


def test_sigterm_does_not_wait_for_a_receiver_that_hangs_and_calls_its_mail_ambiguous(tmp_path: Path) -> None:
    with sandbox(tmp_path, rules=Rules(slow_for=60.0)):
        put("a+slow@x.test", name="1")
        put("b@hangs.test", name="2")
        started: list[float] = []

        def stop() -> None:
            started.append(time.monotonic())
            sigterm()

        when(lambda: _has_dot() and Delivery.objects.get(recipient="b@hangs.test").state == "delivered", stop)
        run_once()
        assert time.monotonic() - started[0] < 10
        assert states()["a+slow@x.test"] == "sending"
        assert reap() == 1
        assert states()["a+slow@x.test"] == "deferred"
        assert [row.recipient for row in Delivery.objects.ambiguous()] == ["a+slow@x.test"]


class Waiting(Keeper):
    """Answers the first mail only when it has got a second one."""

    def __init__(self) -> None:
        super().__init__()
        self.has_second = asyncio.Event()

    async def on_data(self, session: ServerSession, envelope: Envelope) -> Any:
        self.mails.append(envelope)
        if len(self.mails) > 1:
            self.has_second.set()
        await asyncio.wait_for(self.has_second.wait(), 30)
        return Reply(250, "2.0.0", "Ok")


def test_a_life_that_is_over_does_not_cut_off_a_slow_receiver_nor_wait_for_it(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_runner, "DRAIN", 0.2)
    with serving(Waiting()) as server:
        relay_to(server.address)
        put("a@x.test", name="1")
        when(lambda: Delivery.objects.filter(state="sending").exists(),
             lambda: later(1.5, lambda: _in_thread(lambda: put("b@y.test", name="2"))))  # fmt: skip
        runner = run_once(lifetime=0.5)
    assert states() == {"a@x.test": "delivered", "b@y.test": "delivered"}
    assert Attempt.objects.count() == 2
    assert not runner.has_more
    is_all_over()


def _in_thread(work: Any) -> None:
    try:
        work()
    finally:
        connections.close_all()


def test_at_the_end_of_its_life_it_says_that_there_is_more(archive: Archive) -> None:
    for n in range(20):
        put(f"u{n}@d{n}.test", name=str(n))
    runner = run_once(lifetime=0.0)
    assert runner.has_more
    assert set(states().values()) == {"queued"}


def test_a_runner_without_its_lease_drops_everything(archive: Archive) -> None:
    for n in range(10):
        put(f"u{n}+slow@x{n}.test", name=str(n))

    def end() -> None:
        Runner.objects.update(ended_at=timezone.now())

    thread = when(lambda: Delivery.objects.filter(state="sending").count() == 10, end)
    run_once()
    thread.join(5)
    # Nothing was given back or recorded by it: that is the reaper's, by the journal.
    assert set(states().values()) == {"sending"}
    assert reap() == 10
    assert set(states().values()) <= {"queued", "deferred"}
    assert n_wrong_counters() == 0
    assert reap(patience=0) == 0


# ── The database is away ──────────────────────────────────────────────────────────────────────


def test_a_database_that_is_away_for_a_while_loses_nothing(archive: Archive) -> None:
    for n in range(40):
        put(f"u{n}@d{n % 4}.test", name=str(n))
    thread = when(lambda: archive.counts().mails >= 5, _disturb_database)
    run_once(linger=1.5)
    thread.join(30)
    _settle_rest()
    assert set(states().values()) == {"delivered"}
    assert archive.repeats() == {}
    assert archive.counts().recipients == 40
    assert not Delivery.objects.ambiguous().exists()


def _settle_rest() -> None:
    """What a broken connection left to the reaper, as the scheduler would do it."""
    connections.close_all()
    reap(patience=0)
    if Delivery.objects.waiting().exists():
        run_once()


def _disturb_database() -> None:
    if connection.vendor == "postgresql":
        for _ in range(4):
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE pid <> pg_backend_pid() AND datname = current_database()"
                )
            time.sleep(0.4)
        return
    with connection.cursor() as cursor:
        cursor.execute("BEGIN EXCLUSIVE")
        time.sleep(2)
        cursor.execute("ROLLBACK")


def test_the_lease_is_renewed_after_connections_broke(archive: Archive) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has no connection that breaks")
    put("a+slow@x.test")
    thread = when(lambda: Delivery.objects.filter(state="sending").exists(), _disturb_database)
    runner = run_once(linger=3.0)
    thread.join(10)
    connections.close_all()
    row = Runner.objects.get(pk=runner.id)
    assert row.ended_at is not None
    assert row.n_claimed >= 1
    assert states() == {"a+slow@x.test": "delivered"}


def test_redis_away_delays_and_loses_nothing(archive: Archive, valkey: ValkeyServer) -> None:
    with conf.override(redis_url="unix:///nowhere/at/all.sock"):
        put("bob@example.net")
        run_once()
    assert states() == {"bob@example.net": "delivered"}


def test_a_full_disk_of_the_journal_sends_no_dot(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: journal.Journal, line: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(journal.Journal, "_append", full)
    put("bob@example.net")
    run_once()
    row = Delivery.objects.get()
    assert (row.state, row.last_class) == ("deferred", "other")
    assert "journal can't be written" in row.last_text
    assert archive.counts().mails == 0


def test_an_error_of_our_own_costs_one_mail_and_is_seen(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = delivering._send

    async def send(ahead: Any, session: Any, envelope: Envelope) -> Any:
        if envelope.recipients == ("cursed@x.test",):
            raise ZeroDivisionError("a bug")
        return await real(ahead, session, envelope)

    monkeypatch.setattr(delivering, "_send", send)
    put("cursed@x.test", name="1")
    put("fine@x.test", name="2")
    run_once()
    assert states() == {"cursed@x.test": "deferred", "fine@x.test": "delivered"}
    assert (
        Delivery.objects.get(recipient="cursed@x.test").last_text
        == "Mailweir itself failed: ZeroDivisionError: a bug"
    )
    is_all_over()


def test_it_no_longer_listens_when_it_winds_down(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a kick would find a listener who does nothing, and start nobody."""
    monkeypatch.setattr(engine_runner, "STOP_GRACE", 60.0)
    put("a+slow@x.test")
    heard: list[int] = []
    thread = when(_has_dot, sigterm)  # what is claimed only goes back at once
    other = when(
        lambda: _n_listening() == 0 and bool(Runner.objects.filter(ended_at=None)), lambda: heard.append(1)
    )
    run_once()
    for each in (thread, other):
        each.join(25)
    assert heard
    is_all_over()


def _n_listening() -> int:
    return int(events.redis().pubsub_numsub(kick.CHANNEL)[0][1])
