"""The next mail behind the dot of the one before, in a whole runner: nothing is sent twice, and nothing
is taken for sent that was only asked for."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from queueapp import conf
from queueapp.engine.limits import Share
from queueapp.engine.session_pool import SessionPool
from queueapp.models import Attempt, Delivery, Route, Site
from queueapp.transports.base import Envelope, Options
from queueapp.transports.smtp.client import Session
from queueapp.transports.smtp.server import Reply, ServerSession
from queueapp.transports.smtp.server_lines import HANG_UP
from tests.engine.queue import n_wrong_counters, put, run_once, states
from tests.transports.scripted import OPENED, ScriptedServer, Step, hang
from tests.transports.serving import Keeper, serving

ASKED: list[Step] = [("MAIL", "250 ok"), ("RCPT", "250 ok"), ("DATA", "354 go")]
TAKEN: list[Step] = [*ASKED, (".", "250 2.0.0 taken")]
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("valkey", "home")]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    with conf.override(home=tmp_path, site_sessions=1):
        yield tmp_path


class Receiver(Keeper):
    """Knows how many mails came before the one that it is asked about on a connection, and does at some of
    them what a test wants. `ahead`: mails whose envelope was there before the dot before was answered."""

    def __init__(self, at: dict[int, Any] | None = None) -> None:
        super().__init__()
        self.at = at or {}
        self.by_session: Counter[ServerSession] = Counter()

    def on_data(self, session: ServerSession, envelope: Envelope) -> Any:
        self.by_session[session] += 1
        answer = super().on_data(session, envelope)
        return self.at.get(len(self.mails), answer)

    def recipients(self) -> list[str]:
        return [recipient for mail in self.mails for recipient in mail.recipients]


def deliver(receiver: Receiver, n: int, **options: Any) -> None:
    with serving(receiver, **options) as server:
        host, port = server.address
        Route.objects.create(pattern="*", kind="relay", host=host, port=port, tls="none")
        for number in range(n):
            put(f"u{number:02}@example.net", name=str(number))
        run_once()
    assert n_wrong_counters() == 0
    assert not Delivery.objects.filter(state="sending").exists()
    assert list(conf.current().journal.iterdir()) == []


def test_all_mails_of_a_session_arrive_once_and_whole() -> None:
    receiver = Receiver()
    deliver(receiver, 40)
    assert set(states().values()) == {"delivered"}
    assert sorted(receiver.recipients()) == [f"u{number:02}@example.net" for number in range(40)]
    assert len({mail.content for mail in receiver.mails}) == 40
    assert set(Delivery.objects.values_list("n_attempts", flat=True)) == {1}
    assert Attempt.objects.filter(result="delivered", is_ambiguous=False).count() == 40


def test_a_session_takes_no_more_mails_than_it_may() -> None:
    receiver = Receiver()
    with conf.override(session_mails=5):
        deliver(receiver, 23)
    assert set(states().values()) == {"delivered"}
    assert len(receiver.mails) == 23
    assert max(receiver.by_session.values()) <= 5


def test_a_refusal_is_of_its_own_mail() -> None:
    receiver = Receiver({4: Reply(554, "5.7.1", "spam"), 9: Reply(451, "4.3.0", "later")})
    deliver(receiver, 12)
    found = states()
    fates = [found[to] for to in receiver.recipients() if to.endswith("@example.net")]  # not our report
    assert Counter(fates) == {"delivered": 10, "bounced": 1, "deferred": 1}
    assert (fates[3], fates[8]) == ("bounced", "deferred")


def test_a_receiver_that_has_enough_gets_the_next_one_later_and_not_twice() -> None:
    receiver = Receiver({6: Reply(421, "4.3.2", "too many connections from you")})
    deliver(receiver, 10)
    counts = Counter(receiver.recipients())
    assert max(counts.values()) == 1  # the sixth was refused: it waits for its time
    assert Counter(states().values()) == {"delivered": 9, "deferred": 1}
    assert not Attempt.objects.filter(is_ambiguous=True).exists()


def test_a_block_stops_what_was_asked_for_behind_it() -> None:
    blocked = Reply(554, "5.7.1", "your IP is listed at zen.spamhaus.org")
    receiver = Receiver(dict.fromkeys(range(6, 60), blocked))
    deliver(receiver, 20)
    # What came behind the block was given back, and waits for the end of the suspension.
    assert len(receiver.mails) <= 7
    assert Counter(states().values())["delivered"] == 5
    assert not Delivery.objects.filter(state="queued", next_attempt_at__lte=timezone.now()).exists()


def test_a_dot_without_an_answer_is_one_ambiguous_mail_and_no_more() -> None:
    receiver = Receiver({6: HANG_UP})
    deliver(receiver, 10)
    counts = Counter(receiver.recipients())
    assert len(counts) == 10
    assert max(counts.values()) == 1
    assert Counter(states().values()) == {"delivered": 9, "deferred": 1}
    [ambiguous] = Attempt.objects.filter(is_ambiguous=True)
    assert ambiguous.delivery.recipient == receiver.recipients()[5]
    assert Site.objects.get().n_failures == 0


def test_a_session_in_the_middle_of_a_mail_is_kept_for_nobody() -> None:
    async def main() -> None:
        script: list[Step] = [*OPENED, *TAKEN, *TAKEN, *ASKED, (None, hang)]
        async with ScriptedServer(script) as server:
            options = Options("client.test", tls="none")
            session = await Session.open(server.endpoint, options)
            one, two, three = (
                Envelope("a@x.test", (f"{n}@b.test",), b"Subject: x\r\n\r\n") for n in range(3)
            )
            await session.send(one)
            await session.send(two, None, lambda: three)
            assert session.begun is three
            share, ended = Share(1, 5, 100, granted=5), asyncio.Event()
            pool, key = SessionPool(10, lambda _: ended.set()), ((server.endpoint,), options)
            pool.put(key, session, share)
            assert pool.take(key, share) is None
            assert not session.is_usable
            await asyncio.wait_for(ended.wait(), 10)
            assert share.n_kept == 0
            await asyncio.wait_for(server.finished(), 10)
        assert server.contents == [one.content, two.content]

    asyncio.run(main())
