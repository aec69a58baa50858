"""The content: where it ends, that it comes out as it went in, and what is refused in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queueapp.transports.smtp.server import ServerOptions
from queueapp.transports.smtp.server_data import DataReader, check_content
from tests.transports.serving import Keeper, Raw, Running, serving

LINES = st.lists(
    st.sampled_from([b"", b".", b"..", b".x", b"x.", b"\xff", b"From me", b"x" * 70]) | st.binary(max_size=9)
)


def stuff(content: bytes) -> bytes:
    """What a client sends for this content, with the dot."""
    lines = content.split(b"\r\n")[:-1]
    return b"".join((b"." if line.startswith(b".") else b"") + line + b"\r\n" for line in lines) + b".\r\n"


def read(sent: bytes, cuts: list[int], max_size: int = 10_000_000) -> tuple[bytes, bytes, bool]:
    """Content, what follows it, and whether it was too big."""
    reader = DataReader(max_size)
    bounds = [0, *sorted(cuts), len(sent)]
    for start, end in zip(bounds, bounds[1:], strict=False):
        rest = reader.feed(sent[start:end])
        if rest is not None:
            return reader.content(), rest + sent[end:], reader.is_too_big
    raise AssertionError("no end found")


@given(lines=LINES, data=st.data())
def test_it_gives_any_body_back_byte_for_byte(lines: list[bytes], data: st.DataObject) -> None:
    content = b"".join(line.replace(b"\r", b"").replace(b"\n", b"") + b"\r\n" for line in lines)
    sent = stuff(content) + b"NOOP\r\n"
    cuts = data.draw(st.lists(st.integers(0, len(sent)), max_size=6))
    got, rest, is_too_big = read(sent, cuts)
    assert (got, is_too_big) == (content, False)
    assert rest == b"NOOP\r\n"


@given(sent=st.text(alphabet="\r\n.a", max_size=40).map(str.encode))
def test_it_ends_at_the_first_crlf_dot_crlf_and_nowhere_else(sent: bytes) -> None:
    whole = sent + b"\r\n.\r\nQUIT"
    end = (b"\r\n" + whole).find(b"\r\n.\r\n")
    _, rest, _ = read(whole, [])
    assert rest == whole[end + 3 :]
    for cut in range(len(whole)):
        assert read(whole, [cut])[1] == rest


def test_it_ends_wherever_the_terminator_is_split() -> None:
    sent = b"one\r\n..two\r\n.\r\nNOOP\r\n"
    for first in range(len(sent) + 1):
        for second in range(first, len(sent) + 1):
            assert read(sent, [first, second])[:2] == (b"one\r\n.two\r\n", b"NOOP\r\n")


@settings(max_examples=50)
@given(n=st.integers(90, 110), dots=st.integers(0, 40))
def test_it_counts_size_without_stuffing(n: int, dots: int) -> None:
    content = b".\r\n" * dots + b"x" * n + b"\r\n"
    sent = stuff(content)
    for cuts in ([], list(range(len(sent)))):
        got, rest, is_too_big = read(sent + b"NOOP", cuts, max_size=200)
        assert is_too_big == (len(content) > 200)
        assert got == (b"" if is_too_big else content)
        assert rest == (b"" if is_too_big and not rest else b"NOOP")


def test_it_holds_no_more_than_the_limit() -> None:
    reader = DataReader(10_000)
    for _ in range(1000):
        assert reader.feed(b".xxxxxxx\r\n" * 100) is None
        assert len(reader._held) <= 13_000
    assert reader.feed(b".\r\nNOOP\r\n") == b"NOOP\r\n"
    assert reader.content() == b""
    assert reader.is_too_big


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"good\r\n\r\n", None),
        (b"", None),
        (b"a\r\nb\nc\r\n", "550 5.6.11 Line 2 has a bare LF"),
        (b"a\r\nb\r\nc\rd\r\n", "550 5.6.11 Line 3 has a bare CR"),
        (b"a\r\r\n", "550 5.6.11 Line 1 has a bare CR"),
        (b"\n\r\n", "550 5.6.11 Line 1 has a bare LF"),
        (b"a\nb\rc\r\n", "550 5.6.11 Line 1 has a bare LF"),
        (b"a\r\nb\0\r\n", "554 5.6.0 Line 2 has a NUL"),
        (b"x" * 998 + b"\r\n", None),
        (b"x" * 999 + b"\r\n", "554 5.6.0 Line 1 is longer than 998"),
        (b"x\r\n" * 5000 + b"x" * 998 + b"\r\n" + b"x" * 999 + b"\r\n\r\n", "554 5.6.0 Line 5002 is longer"),
        ((b"x" * 998 + b"\r\n") * 50, None),
    ],
)
def test_it_names_what_is_wrong_with_the_content(content: bytes, found: str | None) -> None:
    reply = check_content(content, is_strict=True, max_line=998)
    assert reply == found if found is None else reply is not None
    if reply and found:
        assert f"{reply.code} {reply.enhanced} {reply.text}".startswith(found)


@given(lengths=st.lists(st.integers(0, 12), max_size=30))
def test_it_finds_the_first_long_line_among_any(lengths: list[int]) -> None:
    content = b"".join(b"x" * length + b"\r\n" for length in lengths)
    long = [n for n, length in enumerate(lengths, 1) if length > 8]
    reply = check_content(content, is_strict=True, max_line=8)
    assert (reply is None) if not long else (reply is not None and f"Line {long[0]} " in reply.text)


# ── Over a socket ─────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def keeper() -> Keeper:
    return Keeper()


@pytest.fixture(params=["asyncio", "uvloop"])
def server(keeper: Keeper, request: pytest.FixtureRequest) -> Iterator[Running]:
    with serving(keeper, loop=request.param, max_size=100_000) as running:
        yield running


@pytest.fixture
def client(server: Running) -> Iterator[Raw]:
    with server.client() as raw:
        yield raw.greet()


SMUGGLED = b"MAIL FROM:<evil@x.test>\r\nRCPT TO:<victim@y.test>\r\nDATA\r\nsmuggled\r\n.\r\n"


@pytest.mark.parametrize(
    "false_end",
    [
        b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r.\r\n", b"\r\n.\r", b"\n.\r", b"\r.\n",
        b"\r\n\0.\r\n", b"\r\n.\0\r\n", b"\r\r\n.\r\r\n", b"\r\n.\r\r\n", b"\n\n.\n\n",
    ],
)  # fmt: skip
def test_it_lets_nothing_be_smuggled(client: Raw, keeper: Keeper, false_end: bytes) -> None:
    client.data()
    client.send(b"outer" + false_end + SMUGGLED)
    reply = client.reply()
    assert reply.startswith(("550 5.6.11 ", "554 5.6.0 "))
    assert client.say("NOOP") == "250 2.0.0 Ok"
    assert keeper.mails == []


def test_it_takes_the_next_mail_after_a_refused_one(client: Raw, keeper: Keeper) -> None:
    client.data()
    client.send(b"bare\nline\r\n.\r\n")
    assert client.reply().startswith("550 5.6.11 Line 1 has a bare LF")
    client.data()
    client.send(b"fine\r\n.\r\n")
    assert client.reply().startswith("250 ")
    assert [mail.content for mail in keeper.mails] == [b"fine\r\n"]


def test_it_finds_a_terminator_that_comes_octet_by_octet(client: Raw, keeper: Keeper) -> None:
    client.data()
    for octet in b"a\r\n..b\r\n.\r\nNOOP\r\n":
        client.send(bytes([octet]))
    assert client.reply().startswith("250 ")
    assert client.reply() == "250 2.0.0 Ok"
    assert keeper.mails[0].content == b"a\r\n.b\r\n"


def test_it_refuses_too_much_at_the_dot_and_goes_on(client: Raw, keeper: Keeper) -> None:
    client.data()
    client.send(b"x" * 78 + b"\r\n")
    client.send((b"y" * 78 + b"\r\n") * 50_000 + b".\r\n")
    assert client.reply().startswith("552 5.3.4 ")
    client.data()
    client.send((b"z" * 78 + b"\r\n") * 1250 + b".\r\n")
    assert client.reply().startswith("250 ")
    assert [len(mail.content) for mail in keeper.mails] == [100_000]


def test_it_keeps_bare_line_ends_where_it_is_told_to(keeper: Keeper) -> None:
    with serving(keeper, ServerOptions(is_strict=False, max_line=0)) as server, server.client() as client:
        client.greet().data()
        client.send(b"a\n.\nb\rc\0" + b"x" * 5000 + b"\r\n.\r\n")
        assert client.reply().startswith("250 ")
    assert keeper.mails[0].content == b"a\n.\nb\rc\0" + b"x" * 5000 + b"\r\n"


def test_it_refuses_long_lines_and_names_them(client: Raw, keeper: Keeper) -> None:
    client.data()
    client.send(b"ok\r\n" + b"x" * 999 + b"\r\n.\r\n")
    assert client.reply() == "554 5.6.0 Line 2 is longer than 998 octets; encode or fold it"
    assert keeper.mails == []
