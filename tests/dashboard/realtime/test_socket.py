"""`/ws/live` over a real uvicorn, with a client that is not a browser."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from queueapp import conf, events
from tests.dashboard.live import a_dashboard, a_session
from tests.dashboard.rows import a_delivery, an_attempt
from tests.valkey import ValkeyServer

pytestmark = pytest.mark.usefixtures("transactional_db", "valkey")


@pytest.fixture
def address(transactional_db: None, valkey: ValkeyServer) -> Iterator[str]:
    with a_dashboard() as running:
        yield running


def opened(
    address: str, cookie: str = "", origin: str | None = "same", path: str = "/ws/live", **more: Any
) -> connect:
    headers = {"Cookie": cookie} if cookie else {}
    return connect(
        f"ws://{address}{path}",
        origin=f"http://{address}" if origin == "same" else origin,  # type: ignore[arg-type]
        additional_headers=headers,
        **more,
    )


async def hear(live: ClientConnection, within: float = 10.0) -> dict[str, Any]:
    return dict(json.loads(await asyncio.wait_for(live.recv(), within)))


async def code_of_close(live: ClientConnection) -> int:
    async def to_the_end() -> None:
        while True:
            await live.recv()

    with pytest.raises(ConnectionClosed) as closed:
        await asyncio.wait_for(to_the_end(), 10)
    return closed.value.rcvd.code if closed.value.rcvd else 0


def test_it_works(address: str) -> None:
    an_attempt(a_delivery(state="deferred"), text="Come back later")
    _, cookie = a_session()

    async def main() -> None:
        async with opened(address, cookie) as live:
            told = await hear(live)
        for name in (
            "seq",
            "at",
            "depth",
            "rates",
            "oldest_due_s",
            "domains",
            "runners",
            "alerts",
            "operations",
        ):
            assert name in told
        assert told["depth"]["deferred"] == 1
        assert told["domains"][0]["name"] == "example.com"
        assert "Come back later" in told["latest"][0]["reply"]

    asyncio.run(main())


def test_it_tells_a_change_within_a_second_and_a_half(address: str) -> None:
    _, cookie = a_session()

    async def main() -> None:
        async with opened(address, cookie) as live:
            while not (await hear(live))["is_live"]:
                pass
            began = time.monotonic()
            await asyncio.to_thread(change)
            while (await hear(live))["depth"]["queued"] != 1:
                pass
            assert time.monotonic() - began < 1.5

    asyncio.run(main())


def change() -> None:
    from django.db import connection

    a_delivery()
    events.publish("deliveries")
    connection.close()


def test_it_works_while_redis_is_away(address: str) -> None:
    _, cookie = a_session()

    async def main() -> None:
        async with opened(address, cookie) as live:
            first, second = await hear(live), await hear(live)
        assert not first["is_live"]
        assert second["seq"] > first["seq"]

    with conf.override(redis_url="unix:///nowhere/valkey.sock"):
        asyncio.run(main())


def test_it_sends_at_most_one_message_a_second(address: str) -> None:
    _, cookie = a_session()

    async def main() -> None:
        async with opened(address, cookie) as live:
            while not (await hear(live))["is_live"]:
                pass
            heard, ends = 0, time.monotonic() + 3.0
            while time.monotonic() < ends:
                await asyncio.to_thread(events.publish, "deliveries")
                try:
                    await hear(live, 0.02)
                    heard += 1
                except TimeoutError:
                    pass
            assert 2 <= heard <= 4

    asyncio.run(main())


@pytest.mark.parametrize("origin", [None, "http://evil.example", "http://127.0.0.1:1", "null"])
def test_it_refuses_other_origins(address: str, origin: str | None) -> None:
    _, cookie = a_session()

    async def main() -> None:
        with pytest.raises(InvalidStatus) as refused:
            async with opened(address, cookie, origin):
                pass
        assert refused.value.response.status_code == 403

    asyncio.run(main())


@pytest.mark.parametrize("cookie", ["", "mailweir_session=abcdefgh", "mailweir_session=%00"])
def test_it_refuses_strangers(address: str, cookie: str) -> None:
    async def main() -> None:
        async with opened(address, cookie) as live:
            assert await code_of_close(live) == 4401

    asyncio.run(main())


def test_it_refuses_other_addresses(address: str) -> None:
    async def main() -> None:
        with pytest.raises(InvalidStatus) as refused:
            async with opened(address, path="/ws/other"):
                pass
        assert refused.value.response.status_code == 403

    asyncio.run(main())


def test_it_listens_to_nobody(address: str) -> None:
    _, cookie = a_session()

    async def main() -> None:
        async with opened(address, cookie) as live:
            await live.send('{"action": "delete"}')
            assert (await hear(live))["seq"] >= 1

    asyncio.run(main())


def test_it_closes_on_who_talks_on_and_on(address: str) -> None:
    _, cookie = a_session()

    async def main() -> None:
        async with opened(address, cookie) as live:
            try:
                for _ in range(50):
                    await live.send("x")
            except ConnectionClosed:
                pass
            assert await code_of_close(live) == 4400

    asyncio.run(main())


def test_it_closes_on_long_speeches(address: str) -> None:
    _, cookie = a_session()

    async def main() -> None:
        async with opened(address, cookie) as live:
            await live.send("x" * 100_000)
            assert await code_of_close(live) == 1009

    asyncio.run(main())


def test_it_ends_with_the_session(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from dashboard.realtime import consumer

    monkeypatch.setattr(consumer, "_ASK_AGAIN", 0.0)
    client, cookie = a_session()

    async def main() -> None:
        async with opened(address, cookie) as live:
            await hear(live)
            await asyncio.to_thread(client.post, "/logout")
            assert await code_of_close(live) == 4401

    asyncio.run(main())


def test_it_keeps_only_the_newest_for_a_slow_reader(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reader stops; big snapshots fill the socket's buffers, and the ones behind replace one another."""
    from dashboard.realtime import aggregator

    told = {"n": 0}

    def big() -> dict[str, Any]:
        told["n"] += 1
        return {"n": told["n"], "filler": "x" * 1_000_000}

    quick = aggregator.Aggregator(big, interval=0.02, refresh=0.05, poll=0.05)
    monkeypatch.setattr("dashboard.realtime.consumer.aggregator", lambda: quick)
    _, cookie = a_session()

    async def main() -> None:
        small = socket.socket()
        small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32_768)
        small.connect((address.split(":")[0], int(address.split(":")[1])))
        options: dict[str, Any] = {"sock": small, "max_size": None, "max_queue": 1, "compression": None}
        async with opened(address, cookie, **options) as live:
            first = await hear(live)
            deadline = time.monotonic() + 20
            while told["n"] < first["n"] + 40 and time.monotonic() < deadline:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            # A queue would give each number; here, behind what the kernel's buffers hold, a gap stands for
            # all that nobody will miss.
            numbers = [first["n"]]
            while len(numbers) < 40 and numbers[-1] - numbers[-2:][0] < 10:
                numbers.append((await hear(live))["n"])
            assert len(numbers) < 40, numbers

    asyncio.run(main())
