"""The sandbox over a socket: every scenario as a client meets it, and what the record says after."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import uvloop

from queueapp.sandbox import certificate
from queueapp.sandbox.archive import Archive, Counts
from queueapp.sandbox.run import make_server, open_store, serve
from queueapp.sandbox.scenarios import Rules
from queueapp.sandbox.server import SandboxOptions
from tests.sandbox.load import push
from tests.transports.serving import Raw

RULES = Rules(greylist_for=0.3, throttle_n=2, throttle_for=60, slow_for=0.2)


class Sandbox:
    def __init__(self, home: Path, address: tuple[str, int]) -> None:
        self.home, self.address = home, address
        self.archive = Archive.in_home(home)

    def send(self, *recipients: str) -> str:
        """The last reply to one mail: to the first refused recipient, else to the dot; "" is a hang-up."""
        with Raw(self.address) as client:
            client.greet().say("MAIL FROM:<a@client.test>")
            replies = [client.say(f"RCPT TO:<{recipient}>") for recipient in recipients]
            refused = [reply for reply in replies if not reply.startswith("250")]
            if refused:
                return refused[0]
            client.say("DATA")
            client.send(b"Message-ID: <1@client.test>\r\n\r\nhello\r\n.\r\n")
            return client.reply()

    def wait_for(self, is_so: Callable[[Counts], bool]) -> Counts:
        deadline = time.monotonic() + 10
        while not is_so(counts := self.archive.counts()):
            assert time.monotonic() < deadline, counts
            time.sleep(0.01)
        return counts


@contextlib.contextmanager
def running(home: Path, options: SandboxOptions) -> Iterator[Sandbox]:
    ready, found = threading.Event(), []
    stop: list[Callable[[], None]] = []

    async def main() -> None:
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        stop.append(lambda: loop.call_soon_threadsafe(ended.set))

        def is_ready(address: tuple[str, int]) -> None:
            found.append(Sandbox(home, address))
            ready.set()

        await serve(("127.0.0.1", 0), open_store(home), options, is_ready, ended)

    thread = threading.Thread(target=uvloop.run, args=(main(),), daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield found[0]
    finally:
        stop[0]()
        thread.join(10)
        assert not thread.is_alive()


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with running(tmp_path_factory.mktemp("home"), SandboxOptions(rules=RULES)) as found:
        yield found


@pytest.fixture(autouse=True)
def _clear(sandbox: Sandbox) -> None:
    sandbox.archive.clear()


def test_it_works(sandbox: Sandbox) -> None:
    content = (
        b"Subject: hi\r\nMessage-ID: <7@x.test>\r\n\r\n.dot\r\n" + b"\xe4 8bit\r\n" + b"x" * 3000 + b"\r\n"
    )
    with smtplib.SMTP(*sandbox.address, local_hostname="client.test", timeout=10) as smtp:
        smtp.sendmail("a@x.test", ["b@y.test", "c+ok@y.test"], content)
    (mail,) = sandbox.archive.list_mails()
    kept = sandbox.archive.get(mail.id)
    assert kept is not None
    assert kept.content == content
    assert (kept.sender, kept.recipients, kept.helo) == (
        "a@x.test",
        ("b@y.test", "c+ok@y.test"),
        "client.test",
    )
    assert [receipt.scenario for receipt in sandbox.archive.receipts()] == ["", "ok"]
    assert sandbox.archive.counts() == Counts(recipients=2, mails=1)


@pytest.mark.parametrize(
    ("recipient", "reply"),
    [
        ("defer@y.test", "451 4.3.0 "),
        ("x@any.full.test", "452 4.2.2 "),
        ("x+nouser@y.test", "550 5.1.1 "),
        ("blocked@y.test", "554 5.7.1 "),
        ("spam@y.test", "550 5.7.1 "),
        ("big@y.test", "552 5.3.4 "),
        ("tlsfail@y.test", "454 4.7.0 "),
        ("busy@y.test", "421 4.3.2 "),
        ("reply-553-5.1.8@y.test", "553 5.1.8 "),
    ],
)
def test_it_refuses_and_counts(sandbox: Sandbox, recipient: str, reply: str) -> None:
    assert sandbox.send(recipient).startswith(reply)
    counts = sandbox.wait_for(lambda counts: counts.refused == 1)
    (refusal,) = counts.refusals
    assert f"{refusal.code} {refusal.enhanced} " == reply
    assert refusal.scenario
    assert (counts.mails, counts.recipients) == (0, 0)


@pytest.mark.parametrize("word", ["busy", "reply-421-4.3.2"])
def test_it_closes_after_421(sandbox: Sandbox, word: str) -> None:
    with Raw(sandbox.address) as client:
        client.greet().send(f"MAIL FROM:<>\r\nRCPT TO:<{word}@y.test>\r\nDATA\r\n".encode())
        assert client.reply().startswith("250 ")
        assert client.reply().startswith("421 4.3.2 ")
        assert client.is_closed()


def test_it_refuses_some_recipients_and_takes_the_others(sandbox: Sandbox) -> None:
    with smtplib.SMTP(*sandbox.address, timeout=10) as smtp:
        refused = smtp.sendmail(
            "a@x.test", ["b@y.test", "nouser@y.test", "spam@y.test", "drop@y.test", "c@y.test"], b"x\r\n"
        )
    assert {address: reply[0] for address, reply in refused.items()} == {
        "nouser@y.test": 550,
        "spam@y.test": 550,
        "drop@y.test": 452,
    }
    assert [receipt.recipient for receipt in sandbox.archive.receipts()] == ["b@y.test", "c@y.test"]


def test_it_drops_the_line_after_the_dot_and_keeps_nothing(sandbox: Sandbox) -> None:
    assert sandbox.send("drop@y.test") == ""
    counts = sandbox.wait_for(lambda counts: counts.refused == 1)
    assert (counts.refusals[0].scenario, counts.refusals[0].code) == ("drop", 0)
    assert (counts.mails, counts.recipients) == (0, 0)


def test_it_waits_before_it_answers_slow(sandbox: Sandbox) -> None:
    start = time.monotonic()
    assert sandbox.send("slow@y.test").startswith("250 2.0.0 ")
    assert time.monotonic() - start >= RULES.slow_for
    assert sandbox.archive.counts() == Counts(recipients=1, mails=1)


def test_it_keeps_no_slow_mail_whose_client_left(sandbox: Sandbox) -> None:
    with Raw(sandbox.address) as client:
        client.greet().data("slow@y.test").send(b"x\r\n.\r\n")
    counts = sandbox.wait_for(lambda counts: counts.refused == 1)
    assert (counts.refusals[0].scenario, counts.refusals[0].code, counts.mails) == ("slow", 0, 0)


def test_it_takes_a_greylisted_mail_at_the_second_try(sandbox: Sandbox) -> None:
    assert sandbox.send("greylist@y.test").startswith("450 4.7.1 Greylisted, try again in 1 sec")
    deadline = time.monotonic() + 10
    while not (reply := sandbox.send("greylist@y.test")).startswith("250 "):
        assert reply.startswith("450 4.7.1 ")
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert sandbox.archive.receipts()[0].scenario == "greylist"


def test_it_throttles(sandbox: Sandbox) -> None:
    replies = [sandbox.send("throttle@many.test")[:9] for _ in range(3)]
    assert replies == ["250 2.0.0", "250 2.0.0", "421 4.7.0"]


def test_it_speaks_tls_and_takes_any_login(sandbox: Sandbox) -> None:
    context = ssl.create_default_context(cafile=str(sandbox.home / certificate.FILE_NAME))
    with smtplib.SMTP("localhost", sandbox.address[1], timeout=10) as smtp:
        smtp.starttls(context=context)
        assert smtp.login("anybody", "anything")[0] == 235
        smtp.sendmail("a@x.test", "b@y.test", b"x\r\n")
    assert sandbox.archive.list_mails()[0].tls.startswith("TLSv1.3 ")


def test_it_keeps_everything_of_many_clients(sandbox: Sandbox) -> None:
    rate = uvloop.run(push(*sandbox.address, 2000, 20, 500))
    assert rate > 100
    assert sandbox.archive.counts() == Counts(recipients=2000, mails=2000)
    assert set(sandbox.archive.count_by_message_id().values()) == {1}
    assert sandbox.archive.repeats() == {}


def test_it_takes_bare_line_ends_only_where_it_is_told_to(sandbox: Sandbox, tmp_path: Path) -> None:
    def send(where: Sandbox) -> str:
        with Raw(where.address) as client:
            client.greet().data().send(b"bare\nline\r\n.\r\n")
            return client.reply()

    assert send(sandbox).startswith("550 5.6.11 ")
    with running(tmp_path, SandboxOptions(is_strict=False)) as lenient:
        assert send(lenient).startswith("250 ")


def test_it_leaves_room_for_the_trace_of_the_largest_mail(tmp_path: Path) -> None:
    with running(tmp_path, SandboxOptions(max_size=1000)) as small, Raw(small.address) as client:
        trace, content = b"Received: from a by b; now\r\n" * 5, b"x" * 498 + b"\r\n"
        client.greet().data().send(trace + content * 2 + b".\r\n")
        assert client.reply().startswith("250 ")
        assert client.say("MAIL FROM:<a@x.test> SIZE=1000000").startswith("552 5.3.4 ")


# ── Certificate and process ───────────────────────────────────────────────────────────────────


def test_it_keeps_its_certificate_and_renews_it_in_time(tmp_path: Path) -> None:
    path = tmp_path / "home" / "cert.pem"
    certificate.context(path, "sandbox.test")
    first = path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600
    certificate.context(path, "sandbox.test")
    assert path.read_bytes() == first
    for useless in (
        b"",
        b"not a certificate",
        certificate.make("x", datetime.now(UTC) - timedelta(days=800)),
    ):
        path.write_bytes(useless)
        certificate.context(path, "sandbox.test")
        assert path.read_bytes() not in (useless, first)
    assert [each.name for each in path.parent.iterdir()] == ["cert.pem"]


def test_it_listens_on_a_bound_socket(tmp_path: Path) -> None:
    async def main() -> None:
        store = open_store(tmp_path)
        bound = socket.create_server(("127.0.0.1", 0))
        server = make_server(store, SandboxOptions(has_tls=False))
        address = await server.start(bound)
        assert address == bound.getsockname()
        reader, writer = await asyncio.open_connection(*address)
        assert (await reader.readline()).startswith(b"220 sandbox.test ")
        writer.close()
        await server.stop(1)
        store.close()

    asyncio.run(main())


SCRIPT = """
import asyncio, sys, uvloop
from pathlib import Path
from queueapp.sandbox.run import open_store, serve
def ready(address): print(address[1], flush=True)
uvloop.run(serve(("127.0.0.1", 0), open_store(Path(sys.argv[1])), None, ready))
print("ended")
"""


def test_it_ends_on_sigterm_within_3_seconds_and_loses_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SCRIPT, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ)) as process:
        assert process.stdout
        address = ("127.0.0.1", int(process.stdout.readline()))
        with Raw(address) as done, Raw(address) as slow, Raw(address) as begun:
            done.greet().data().send(b"x\r\n.\r\n")
            assert done.reply().startswith("250 ")
            slow.greet().data("slow@y.test").send(b"x\r\n.\r\n")
            begun.greet().data()
            start = time.monotonic()
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0
            assert time.monotonic() - start < 3
            assert done.reply().startswith("421 4.3.2 ")
            assert begun.reply().startswith("421 4.3.2 ")
        assert process.stdout.read() == "ended\n"
    assert Archive.in_home(tmp_path).counts().mails == 1
