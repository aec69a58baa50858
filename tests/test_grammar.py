"""The search grammar: what is understood, what is refused with where and why, and the canonical text."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queueapp.grammar import KEYS, STATES, AddressText, GrammarError, Query, Term, Text, parse
from queueapp.mail.classes import CLASSES


def only(text: str) -> Term:
    (term,) = parse(text).terms
    return term


def test_it_works() -> None:
    query = parse("state:deferred domain:Example.COM age>2h news")
    assert query.terms == (
        Term("state", "=", "deferred"),
        Term("domain", "=", Text(("example.com",))),
        Term("age", ">", 7_200),
        Term("word", "=", Text(("news",))),
    )
    assert str(query) == "state:deferred domain:example.com age>2h news"


def test_it_takes_everything_for_an_empty_search() -> None:
    assert parse("") == parse(" \t\n") == Query()
    assert not parse("")


@pytest.mark.parametrize(
    ("text", "term"),
    [
        ("state:HELD", Term("state", "=", "held")),
        ("State:held", Term("state", "=", "held")),
        ("state=held", Term("state", "=", "held")),
        ("class:blocklisted", Term("class", "=", "blocklisted")),
        ("code:421", Term("code", "=", 421)),
        ("code:4.7.1", Term("code", "=", "4.7.1")),
        ("reason:greylist", Term("reason", "=", Text(("greylist",)))),
        ('subject:"big \\"sale\\" \\\\"', Term("subject", "=", Text(('big "sale" \\',)))),
        ("subject:big*sale", Term("subject", "=", Text(("big", "sale")))),
        ('subject:"a*b"', Term("subject", "=", Text(("a*b",)))),
        ("subject:a\\*b", Term("subject", "=", Text(("a*b",)))),
        ("subject:a**b", Term("subject", "=", Text(("a", "b")))),
        ("subject:*", Term("subject", "=", Text(("", "")))),
        ("age>2h", Term("age", ">", 7_200)),
        ("age:>2h", Term("age", ">", 7_200)),
        ("age<=1h30m", Term("age", "<=", 5_400)),
        ("next<10m", Term("next", "<", 600)),
        ("attempts>=3", Term("attempts", ">=", 3)),
        ("attempts:3", Term("attempts", "=", 3)),
        ("size>1MB", Term("size", ">", 1_000_000)),
        ("size<1.5kb", Term("size", "<", 1_500)),
        ("size<2G", Term("size", "<", 2_000_000_000)),
        ("priority:9", Term("priority", "=", 9)),
        ("route:backup", Term("route", "=", Text(("backup",)))),
        ("campaign:spring", Term("campaign", "=", Text(("spring",)))),
        ("source:api", Term("source", "=", "http")),
        ("source:smtp", Term("source", "=", "smtp")),
        ("login:shop", Term("login", "=", Text(("shop",)))),
        ("tag:x", Term("tag", "=", Text(("x",)))),
        ("host:native", Term("host", "=", Text(("native",)))),
        ("id:42", Term("id", "=", 42)),
        ("msgid:<a@b>", Term("msgid", "=", Text(("a@b",)))),
        ("msgid:a@b", Term("msgid", "=", Text(("a@b",)))),
        ("has:attachment", Term("has", "=", "attachment")),
        ("is:ambiguous", Term("is", "=", "ambiguous")),
        ("domain:bücher.example", Term("domain", "=", Text(("xn--bcher-kva.example",)))),
        ("domain:*.Example.com", Term("domain", "=", Text(("", ".example.com")))),
        ("site:google.com", Term("site", "=", Text(("google.com",)))),
        ("-state:held", Term("state", "=", "held", is_negated=True)),
        ("-news", Term("word", "=", Text(("news",)), is_negated=True)),
        ('"-news"', Term("word", "=", Text(("-news",)))),
        ('"a:b"', Term("word", "=", Text(("a:b",)))),
        ("ann@example.com", Term("word", "=", Text(("ann@example.com",)))),
        ("10:30", Term("word", "=", Text(("10:30",)))),
    ],
)
def test_it_understands_every_key(text: str, term: Term) -> None:
    assert only(text) == term
    assert only(str(term)) == term


@pytest.mark.parametrize(
    ("value", "kind", "parts"),
    [
        ("Ann@Example.COM", "address", ("Ann@example.com",)),
        ("ann@bücher.example", "address", ("ann@xn--bcher-kva.example",)),
        ('"a*b@example.com"', "address", ("a*b@example.com",)),
        ("*@example.com", "address", ("", "@example.com")),
        ("ann@*", "address", ("ann@", "")),
        ("@Example.com", "domain", ("example.com",)),
        ("example.com", "domain", ("example.com",)),
        ("@localhost", "domain", ("localhost",)),
        ("@*.example.com", "domain", ("", ".example.com")),
        ("ann", "part", ("ann",)),
        ("ann*lee", "part", ("ann", "lee")),
        ("ann@", "part", ("ann@",)),
        ("@", "part", ("@",)),
        ("a@b@c", "part", ("a@b@c",)),
        ("<>", "null", ("",)),
        ('""', "null", ("",)),
    ],
)
@pytest.mark.parametrize("key", ["from", "to"])
def test_it_tells_an_address_from_a_domain_from_a_part(
    key: str, value: str, kind: str, parts: tuple[str]
) -> None:
    term = only(f"{key}:{value}")
    assert term.value == AddressText(kind, Text(parts))  # type: ignore[arg-type]
    assert only(str(term)) == term


@pytest.mark.parametrize(
    ("text", "marked", "why", "hint"),
    [
        (
            "state:defered",
            "defered",
            "unknown state 'defered': one of queued, sending",
            "Did you mean deferred?",
        ),
        ("x state:waiting", "waiting", "unknown state 'waiting'", "state:deferred"),
        ("class:spam", "spam", "unknown class 'spam': one of delivered, greylisted", ""),
        ("stat:held", "stat", "unknown key 'stat': one of state, domain", "Did you mean state?"),
        ("http://example.com", "http", "unknown key 'http'", "in quotes"),
        ("age:2h", ":", "age needs < or >", "age>2h"),
        ("age>2", "2", "no duration", "age>2h"),
        ("age>2y", "2y", "no duration", "age>2h"),
        ("age>9999w", "9999w", "ten years", "age>2h"),
        ("age>", "age>", "needs a value right behind it", "age>2h"),
        ("state: held", "state:", "needs a value right behind it", "state:deferred"),
        ("age > 2h", ">", "no key before '>'", "without spaces"),
        ("domain>x", ">", "domain can't be compared with >", "domain:example.com"),
        ("subject:>=x y:z", "y", "unknown key 'y'", ""),
        ("size>5", "5", "no size", "size>1MB"),
        ("size>5TB", "5TB", "no size", "size>1MB"),
        ("size>999999999GB", "999999999GB", "more than", "size>1MB"),
        ("attempts>=-1", "-1", "no whole number", "attempts>=3"),
        ("attempts>=٣", "٣", "no whole number", "attempts>=3"),
        ("priority:10", "10", "from 0 to 9", "priority:9"),
        ("code:99", "99", "neither a reply code", "code:421"),
        ("code:4.7", "4.7", "neither a reply code", "code:421"),
        ("id:x", "x", "no whole number", "id:42"),
        ("id:99999999999999999999", "99999999999999999999", "no whole number", "id:42"),
        ("has:virus", "virus", "one of attachment", "has:attachment"),
        ("is:late", "late", "one of ambiguous", "is:ambiguous"),
        ("source:fax", "fax", "one of smtp, http", ""),
        ('subject:""', '""', "is empty", "big sale"),
        ("msgid:<>", "<>", "is empty", "msgid:"),
        ('subject:"big', '"big', "not closed", "at its end"),
        ('subject:"a"b', "b", "behind a closing quote", "space"),
        ('a"b', '"', "quote in the middle", "Quote the whole"),
        ("a\\", "\\", "backslash with nothing", "\\\\"),
        ('""', '""', "nothing to search for", ""),
        ("x -", "-", "nothing to search for", ""),
        ("a\0b", "\0", "U+0000", "Take it out"),
        ("a\u202eb", "\u202e", "U+202E", "Take it out"),
        ("a\ud800b", "\ud800", "U+D800", "Take it out"),
    ],
)
def test_it_says_where_and_why(text: str, marked: str, why: str, hint: str) -> None:
    with pytest.raises(GrammarError) as caught:
        parse(text)
    error = caught.value
    assert text[error.position : error.position + error.length] == marked
    assert why in error.message
    assert hint in error.hint
    assert f"at position {error.position + 1}" in str(error)


def test_it_bounds_the_search() -> None:
    assert len(parse("a " * 50).terms) == 50
    with pytest.raises(GrammarError, match="more than 50 terms"):
        parse("a " * 51)
    with pytest.raises(GrammarError, match="longer than 2000 characters"):
        parse("a" * 2_001)


@pytest.mark.parametrize(
    "text", ["*" * 2_000, "\\*" * 1_000, "a*" * 1_000, "1s" * 999, '"' + "\\\\" * 999, "a@" * 999]
)
@pytest.mark.parametrize("key", ["", "from:", "subject:", "age>", "domain:"])
def test_it_is_quick_on_hostile_text(key: str, text: str) -> None:
    start = time.process_time()
    try:
        shown = str(parse((key + text)[:2_000]))
    except GrammarError as error:
        shown = str(error)
    assert shown
    assert time.process_time() - start < 0.5


def test_it_marks_where_each_term_stands() -> None:
    text = '  -state:held  "a b"'
    assert [text[term.start : term.end] for term in parse(text).terms] == ["-state:held", '"a b"']


def test_it_joins_one_key_by_or_and_all_else_by_and() -> None:
    query = parse("state:held a age>1h state:queued -class:dns age<2h -class:tls b")
    groups = [" | ".join(map(str, group)) for group in query.groups()]
    assert groups == ["state:held | state:queued", "a", "age>1h", "-class:dns", "age<2h", "-class:tls", "b"]


def test_it_knows_every_key_of_the_contract() -> None:
    contract = "state domain site from to subject class code reason age attempts size next priority campaign"
    contract += " source tag login host id msgid has"
    assert set(KEYS) == {*contract.split(), "is", "route"}
    for state in STATES:
        assert only(f"state:{state}").value == state
    for name in CLASSES:
        assert only(f"class:{name}").value == name


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cf", "Zl", "Zp", "Zs"]), max_size=12)
PIECES = st.one_of(
    TEXTS,
    st.sampled_from(
        ["*", '"', "\\", "-", "@", "<>", " ", ":", ">", "=", "a@b.com", "example.com", "2h", "1MB", "9"]
    ),
    st.sampled_from([f"{key}:" for key in KEYS] + ["age>", "next<=", "size<", "attempts>="]),
)


@settings(deadline=None, derandomize=True, database=None)
@given(st.lists(PIECES, max_size=12).map("".join))
def test_it_reads_its_own_canonical_text(text: str) -> None:
    try:
        query = parse(text)
    except GrammarError as error:
        assert 0 <= error.position <= len(text)  # noqa: PT017
        return
    assert parse(str(query)) == query
    assert str(parse(str(query))) == str(query)


VALUES = st.lists(TEXTS.filter(bool), min_size=1, max_size=3).map(lambda parts: Text(tuple(parts)))
TERMS = st.one_of(
    st.builds(
        Term, st.sampled_from(["subject", "reason", "tag", "word"]), st.just("="), VALUES, st.booleans()
    ),
    st.builds(Term, st.just("age"), st.sampled_from([">", "<="]), st.integers(0, 316_224_000), st.booleans()),
    st.builds(Term, st.just("size"), st.sampled_from(["<", ">="]), st.integers(0, 10**15), st.booleans()),
    st.builds(Term, st.just("id"), st.just("="), st.integers(0, 2**63 - 1), st.booleans()),
)


@settings(deadline=None, derandomize=True, database=None)
@given(st.lists(TERMS, max_size=6).map(lambda terms: Query(tuple(terms))))
def test_it_writes_what_it_reads(query: Query) -> None:
    assert parse(str(query)) == query
