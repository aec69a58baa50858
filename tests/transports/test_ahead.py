"""The next envelope behind the final dot (RFC 2920 section 3.1): what is saved, and what never goes wrong."""

from __future__ import annotations

import asyncio

import pytest

from queueapp.transports.base import Envelope, Options, Outcome
from queueapp.transports.smtp.client import Session
from tests.transports.conftest import Run
from tests.transports.scripted import (
    GREETING,
    OPENED,
    OPENED_STEPWISE,
    QUIT,
    ScriptedServer,
    Step,
    close,
    hang,
)

OPTIONS = Options("client.test", tls="none")
ASKED: list[Step] = [("MAIL", "250 ok"), ("RCPT", "250 ok"), ("DATA", "354 go")]
TAKEN: list[Step] = [*ASKED, (".", "250 2.0.0 taken")]


def mail(name: str, *recipients: str) -> Envelope:
    return Envelope("a@example.test", recipients or (f"{name}@b.test",), f"Subject: {name}\r\n\r\n".encode())


ONE, TWO, THREE = mail("one"), mail("two"), mail("three")


async def two_then(session: Session, *behind: Envelope) -> list[Outcome]:
    """The first mail, then the second with what comes behind it."""
    waiting = list(behind)
    [first] = await session.send(ONE, None, lambda: pytest.fail("nothing follows the first"))
    [second] = await session.send(TWO, None, lambda: waiting.pop(0) if waiting else None)
    return [first, second]


def test_the_next_one_is_asked_for_before_the_dot_is_answered(run: Run) -> None:
    async def main() -> None:
        script: list[Step] = [
            *OPENED, *TAKEN, *ASKED, (".", None), ("MAIL FROM:<a@", None), ("RCPT TO:<three@", None),
            ("DATA", "250 2.0.0 second\r\n250 ok\r\n250 ok\r\n354 go"), (".", "250 2.0.0 third"), QUIT,
        ]  # fmt: skip
        async with ScriptedServer(script) as server:
            session = await Session.open(server.endpoint, OPTIONS)
            first, second = await two_then(session, THREE)
            assert session.begun is THREE
            assert session.is_usable
            dots: list[list[int]] = []
            [third] = await session.send(THREE, dots.append)
            await session.quit()
        assert [each.text for each in (first, second, third)] == ["taken", "second", "third"]
        assert server.contents == [each.content for each in (ONE, TWO, THREE)]
        assert dots == [[0]]

    run(main())


def test_a_chain_goes_on_as_long_as_something_follows(run: Run) -> None:
    async def main() -> None:
        mails = [mail(f"m{number}", f"x{number}@b.test", f"y{number}@b.test") for number in range(20)]
        asked: list[Step] = [
            ("MAIL", "250 ok"),
            ("RCPT", "250 ok"),
            ("RCPT", "550 5.1.1 no"),
            ("DATA", "354 go"),
            (".", "250 ok"),
        ]
        async with ScriptedServer([*OPENED, *asked * 20, QUIT]) as server:
            session = await Session.open(server.endpoint, OPTIONS)
            waiting = list(mails)
            outcomes = []
            while waiting or session.begun:
                envelope = session.begun or waiting.pop(0)
                outcomes += await session.send(envelope, None, lambda: waiting.pop(0) if waiting else None)
            await session.quit()
        assert [each.result for each in outcomes] == ["delivered", "bounced"] * 20
        assert server.contents == [each.content for each in mails]

    run(main())


def test_a_refused_dot_is_its_own_and_the_next_one_goes_on(run: Run) -> None:
    async def main() -> None:
        script: list[Step] = [*OPENED, *TAKEN, *ASKED, (".", "554 5.7.1 spam"), *TAKEN, QUIT]
        async with ScriptedServer(script) as server:
            session = await Session.open(server.endpoint, OPTIONS)
            _, second = await two_then(session, THREE)
            [third] = await session.send(THREE)
            await session.quit()
        assert (second.result, second.code) == ("bounced", 554)
        assert third.result == "delivered"

    run(main())


def test_a_next_one_whose_recipient_is_refused_says_so(run: Run) -> None:
    async def main() -> None:
        script: list[Step] = [
            *OPENED, *TAKEN, *TAKEN, ("MAIL", "250 ok"), ("RCPT", "550 5.1.1 unknown"),
            ("DATA", "554 5.5.1 no valid recipients"), ("RSET", "250 ok"), *TAKEN, QUIT,
        ]  # fmt: skip
        async with ScriptedServer(script) as server:
            session = await Session.open(server.endpoint, OPTIONS)
            await two_then(session, THREE)
            dots: list[list[int]] = []
            [third] = await session.send(THREE, dots.append)
            [fourth] = await session.send(mail("four"))
            await session.quit()
        assert (third.result, third.enhanced, dots) == ("bounced", "5.1.1", [])
        assert fourth.result == "delivered"

    run(main())


def test_a_dot_without_an_answer_is_ambiguous_and_the_next_one_untouched(run: Run) -> None:
    async def main() -> None:
        script: list[Step] = [*OPENED, *TAKEN, *ASKED, (".", close)]
        async with ScriptedServer(script) as server:
            session = await Session.open(server.endpoint, OPTIONS)
            _, second = await two_then(session, THREE)
        assert second.is_ambiguous
        assert session.begun is None
        assert not session.is_usable
        assert server.contents == [ONE.content, TWO.content]

    run(main())


def test_a_farewell_behind_the_dot_leaves_the_next_one_untouched(run: Run) -> None:
    async def main() -> None:
        script: list[Step] = [
            *OPENED,
            *TAKEN,
            *ASKED,
            (".", "250 2.0.0 taken\r\n421 4.3.2 closing"),
            (None, close),
        ]
        async with ScriptedServer(script) as server:
            session = await Session.open(server.endpoint, OPTIONS)
            _, second = await two_then(session, THREE)
            assert second.result == "delivered"
            outcomes = await session.send(THREE) if session.begun else []
        assert all((each.stage, each.code, each.is_ambiguous) == ("mail", 421, False) for each in outcomes)
        assert server.contents == [ONE.content, TWO.content]

    run(main())


def test_what_was_begun_may_be_left(run: Run) -> None:
    async def main() -> None:
        script: list[Step] = [*OPENED, *TAKEN, *TAKEN, *ASKED, (None, hang)]
        async with ScriptedServer(script) as server:
            session = await Session.open(server.endpoint, OPTIONS)
            await two_then(session, THREE)
            await session.quit()  # there is no word for it inside a mail: it just ends
            assert session.begun is None
            await asyncio.wait_for(server.finished(), 10)
        assert server.contents == [ONE.content, TWO.content]
        assert "QUIT" not in server.lines

    run(main())


def test_nothing_else_is_sent_in_its_place(run: Run) -> None:
    async def main() -> None:
        async with ScriptedServer([*OPENED, *TAKEN, *TAKEN, *ASKED, (None, hang)]) as server:
            session = await Session.open(server.endpoint, OPTIONS)
            await two_then(session, THREE)
            with pytest.raises(RuntimeError, match="another mail"):
                await session.send(mail("other"))
            assert not session.is_usable
        assert server.contents == [ONE.content, TWO.content]

    run(main())


def test_a_server_without_pipelining_is_not_asked_ahead(run: Run) -> None:
    async def main() -> None:
        script: list[Step] = [*OPENED_STEPWISE, *TAKEN * 2, QUIT]
        async with ScriptedServer(script) as server:
            session = await Session.open(server.endpoint, OPTIONS)
            await session.send(ONE)
            await session.send(TWO, None, lambda: pytest.fail("it takes one command at a time"))
            assert session.begun is None
            await session.quit()
        assert len(server.contents) == 2

    run(main())


def test_what_this_server_can_not_take_is_not_begun(run: Run) -> None:
    async def main() -> None:
        small: Step = ("EHLO ", "250-scripted\r\n250-PIPELINING\r\n250 SIZE 1000")
        large = Envelope("a@example.test", ("b@b.test",), b"x" * 2000)
        async with ScriptedServer([GREETING, small, *TAKEN * 2, QUIT]) as server:
            session = await Session.open(server.endpoint, OPTIONS)
            await two_then(session, large)
            assert session.begun is None
            [outcome] = await session.send(large)
            await session.quit()
        assert (outcome.result, outcome.enhanced) == ("bounced", "5.3.4")
        assert len(server.contents) == 2

    run(main())
