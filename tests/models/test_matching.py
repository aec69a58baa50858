"""The search grammar on a real database: each key selects exactly what plain Python selects."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from queueapp.grammar import KEYS, GrammarError, Query, parse
from queueapp.mail.classes import CLASSES
from queueapp.models import Delivery, Message, RecipientDomain, Route, Site
from queueapp.models.counting import Counted, count, count_of
from queueapp.models.matching import condition, condition_of
from queueapp.models.searching import Search
from tests.models.plain import selects
from tests.models.rows import delivery

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
N_ROWS = 80
N_QUERIES = 60

LOCALS = ["ann", "Ann", "bob", "bob_by", "bobxby", "50%", "a+b", "o'neill", "jürgen", "anna"]
DOMAINS = ["example.com", "mail.example.com", "example.net", "example-com.test", "xn--mller-kva.example"]
SITES = ["google.com", "outlook.com", "Sandbox"]
SUBJECTS = [
    "", "Big sale", "big SALE today", "100% off", "100 off", "a_b", "axb", "back\\slash",
    "back\\\\slash", "quote \" it's", "star * here", "Über uns", "ÜBER UNS", "über uns", "日本語", "a%b%c",
    "news", "newspaper",
]  # fmt: skip
REASONS = ["", "4.7.1 Greylisted, try again", "user unknown", "greylist_ing", "listed by zen.spamhaus.org"]
LOGINS = ["", "shop", "Shop", "50%_off"]
TAGS = [
    "spring",
    "Spring",
    "a,b",
    "50%",
    "x_y",
    "xzy",
    'q"q',
    "grün",
    "null",
    "1",
    "campaign:Spring",
    "Campaign:autumn",
]
CODES = [(None, ""), (421, "4.7.0"), (450, "4.7.1"), (550, "5.1.1"), (421, "")]
STATES = ["queued", "sending", "deferred", "held", "delivered", "bounced", "expired", "deleted"]


def make_rows(chance: random.Random) -> None:
    sites = [Site.objects.create(key=name, name=name, route="mx") for name in SITES]
    domains = [RecipientDomain(name=name, site=chance.choice([None, *sites])) for name in DOMAINS]
    RecipientDomain.objects.bulk_create(domains)
    messages = [_message(chance, n) for n in range(N_ROWS // 2)]
    Message.objects.bulk_create(messages)
    ways = [None, *(Route.objects.create(name=name, kind="mx") for name in ("backup", "Backup-2"))]
    rows = [_delivery(chance, chance.choice(messages), domains) for _ in range(N_ROWS)]
    for row in rows:
        row.route = chance.choice(ways)
    Delivery.objects.bulk_create(rows)


def _message(chance: random.Random, n: int) -> Message:
    sender = chance.choice(["", *[f"{local}@{chance.choice(DOMAINS)}" for local in LOCALS]])
    return Message(
        accepted_at=NOW,
        sender=sender,
        sender_domain=sender.rpartition("@")[2],
        subject=chance.choice(SUBJECTS),
        message_id=chance.choice([f"Id.{n}@example.com", f"id.{n}@example.com", ""]),
        size=chance.choice([0, 999, 1000, 1001, 1_000_000, 50_000_000]),
        n_recipients=1,
        source=chance.choice(["smtp", "http", "backend", "sendmail", "report"]),
        tags=chance.sample(TAGS, chance.randrange(3)),
        login=chance.choice(LOGINS),
        has_attachment=chance.random() < 0.3,
    )


def _delivery(chance: random.Random, message: Message, domains: list[RecipientDomain]) -> Delivery:
    domain = chance.choice(domains)
    code, enhanced = chance.choice(CODES)
    seconds = [0, 1, 59, 60, 600, 7200, 86_400]
    return Delivery(
        message=message,
        recipient=f"{chance.choice(LOCALS)}@{domain.name}",
        domain=domain,
        state=chance.choice(STATES),
        priority=chance.randrange(10),
        accepted_at=NOW - timedelta(seconds=chance.choice(seconds)),
        next_attempt_at=chance.choice(
            [None, NOW + timedelta(seconds=chance.choice(seconds) * chance.choice([1, -1]))]
        ),
        expires_at=NOW,
        n_attempts=chance.randrange(4),
        last_class=chance.choice(["", *CLASSES]),
        last_code=code,
        last_enhanced=enhanced,
        last_text=chance.choice(REASONS),
        hold_reason=chance.choice(["", "", "by ann: Greylist first"]),
        is_ambiguous=chance.random() < 0.2,
    )


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def starred(chance: random.Random, text: str) -> str:
    """The text as a person might write it: quoted whole, or with a part of it replaced by a star."""
    if chance.random() < 0.5 or not text:
        return quoted(chance.choice([text, text.upper(), text.lower()]))
    escaped = ["\\" + char if not char.isalnum() else char for char in text]
    at = chance.randrange(len(escaped))
    escaped[at : at + chance.randrange(3)] = ["*"]
    return "".join(escaped)


def a_part(chance: random.Random, text: str) -> str:
    start = chance.randrange(max(len(text), 1))
    return text[start : start + chance.randrange(1, 6)]


def _address(chance: random.Random) -> str:
    local, domain = chance.choice(LOCALS), chance.choice([*DOMAINS, "nowhere.example", "müller.example"])
    return chance.choice(
        ["<>", f"@{domain}", domain, f"@*.{domain}", a_part(chance, local), f"{local}@{domain}",
         f"{local.upper()}@{domain.upper()}", f"{local[:2]}*@{domain}", f"*@{domain}", f"{local}@*"]
    )  # fmt: skip


VALUES: dict[str, Callable[[random.Random], str]] = {
    "state": lambda chance: ":" + chance.choice(STATES),
    "domain": lambda chance: (
        ":" + chance.choice([*DOMAINS, "Example.COM", "*.com", "*example*", "none.test"])
    ),
    "site": lambda chance: ":" + chance.choice(["google.com", "GOOGLE.com", "sandbox", "*.com", "none.test"]),
    "from": lambda chance: ":" + _address(chance),
    "to": lambda chance: ":" + _address(chance),
    "subject": lambda chance: ":" + starred(chance, chance.choice(SUBJECTS[1:])),
    "class": lambda chance: ":" + chance.choice([*CLASSES, "none"]),
    "code": lambda chance: ":" + chance.choice(["421", "450", "4.7.0", "4.7.1", "5.1.1", "250"]),
    "reason": lambda chance: ":" + starred(chance, chance.choice([*REASONS[1:], "greylist"])),
    "age": lambda chance: _compared(chance, ["1s", "1m", "10m", "2h", "1d", "520w"]),
    "attempts": lambda chance: _compared(chance, ["0", "1", "2", "3", "2147483647"], "="),
    "size": lambda chance: _compared(chance, ["0B", "999B", "1KB", "1MB", "49.5MB", "999999GB"]),
    "next": lambda chance: _compared(chance, ["0s", "1s", "1m", "10m", "2h", "520w"]),
    "priority": lambda chance: _compared(chance, list("0123456789"), "="),
    "source": lambda chance: ":" + chance.choice(["smtp", "http", "api", "backend", "sendmail", "campaign"]),
    "login": lambda chance: ":" + quoted(chance.choice(["shop", "SHOP", "sh*", "50%_off", "sho"])),
    "tag": lambda chance: ":" + starred(chance, chance.choice(TAGS)),
    "route": lambda chance: ":" + starred(chance, chance.choice(["backup", "Backup-2", "nowhere"])),
    "campaign": lambda chance: ":" + starred(chance, chance.choice(["spring", "Autumn"])),
    "host": lambda chance: ":native",
    "id": lambda chance: f":{chance.choice([chance.choice(_ids()), 0, 2**31, 2**63 - 1])}",
    "msgid": lambda chance: ":" + chance.choice(["Id.1@example.com", "<id.1@example.com>", "id.*", "*.2@*"]),
    "has": lambda chance: chance.choice([":attachment", ":reply"]),
    "is": lambda chance: ":ambiguous",
    "word": lambda chance: starred(chance, a_part(chance, chance.choice([*SUBJECTS[1:], *LOCALS]))),
}


def _compared(chance: random.Random, values: list[str], *more: str) -> str:
    return chance.choice(["<", "<=", ">", ">=", *more]) + chance.choice(values)


def _ids() -> list[int]:
    return list(Delivery.objects.values_list("id", flat=True))


def a_term(chance: random.Random, key: str) -> str:
    sign = chance.choice(["", "", "-"])
    return sign + ("" if key == "word" else key) + VALUES[key](chance)


def check(text: str, rows: list[Delivery]) -> None:
    query = parse(text)
    expected = {row.pk for row in rows if selects(query, row, NOW)}
    found = set(Delivery.objects.filter(condition_of(query, NOW)).values_list("id", flat=True))
    assert found == expected, text
    assert count(query, NOW)[0] == len(expected), text


def loaded() -> list[Delivery]:
    for domain in RecipientDomain.objects.all():
        states = list(domain.deliveries.values_list("state", flat=True))
        RecipientDomain.objects.filter(pk=domain.pk).update(
            **{f"n_{state}": states.count(state) for state in STATES}
        )
    return list(Delivery.objects.select_related("message", "domain__site", "route"))


def test_it_knows_every_key_of_the_grammar() -> None:
    assert set(VALUES) == {*KEYS, "word"}


@pytest.mark.parametrize("key", VALUES)
def test_it_selects_what_plain_python_selects(key: str) -> None:
    chance = random.Random(f"rows for {key}")
    make_rows(chance)
    rows = loaded()
    for _ in range(N_QUERIES):
        check(" ".join(a_term(chance, key) for _ in range(chance.choice([1, 1, 2, 3]))), rows)


def test_it_combines_keys_as_plain_python_does() -> None:
    chance = random.Random("rows for all")
    make_rows(chance)
    rows = loaded()
    check("", rows)
    for _ in range(N_QUERIES * 3):
        keys = chance.choices(list(VALUES), k=chance.randrange(2, 5))
        check(" ".join(a_term(chance, key) for key in keys), rows)


# ── The promises by example ───────────────────────────────────────────────────────────────────


def found(text: str) -> list[str]:
    return [row.recipient for row in Delivery.objects.filter(condition(text)).order_by("id")]


def test_it_takes_several_of_one_key_as_or_and_different_keys_as_and() -> None:
    delivery("a@one.example", state="held")
    delivery("b@two.example", state="deferred")
    delivery("c@two.example", state="queued")
    assert found("state:held state:deferred") == ["a@one.example", "b@two.example"]
    assert found("state:held state:deferred domain:two.example") == ["b@two.example"]
    assert found("-state:held -state:deferred") == ["c@two.example"]


def test_it_excludes_a_domain_that_nobody_wrote_to() -> None:
    delivery("a@one.example")
    assert found("-domain:none.example") == ["a@one.example"]
    assert found("-site:none.example") == ["a@one.example"]


@pytest.mark.parametrize(
    ("text", "subject", "is_found"),
    [
        ("subject:100%", "100% off", True),
        ("subject:100%", "1000 off", False),
        ("subject:a_b", "axb", False),
        ("subject:a*b", "a and b", True),
        ('subject:"a*b"', "a and b", False),
        ("subject:back\\\\slash", "back\\slash", True),
        ("subject:'", "it's; DROP TABLE", True),
        ("subject:ÜBER", "Über uns", True),
        ("Über", "ÜBER UNS", True),
    ],
)
def test_it_takes_every_sign_but_the_star_as_itself(text: str, subject: str, is_found: bool) -> None:
    delivery(subject=subject)
    assert bool(found(text)) is is_found


@pytest.mark.parametrize("tags", [[], ["a"], ["a", "spring sale"], ['"'], ["50%"]])
def test_it_finds_tags_in_the_list(tags: list[str]) -> None:
    delivery(tags=tags)
    assert bool(found('tag:"spring sale"')) is ("spring sale" in tags)
    assert bool(found("tag:spring*")) is ("spring sale" in tags)
    assert bool(found('tag:"%"')) is False
    assert bool(found('-tag:"spring sale"')) is ("spring sale" not in tags)


@pytest.mark.parametrize(
    ("text", "position", "length", "why"),
    [
        ("host:postfix-1", 0, 14, "no host 'postfix-1'"),
        ("state:defered", 6, 7, "unknown state 'defered'"),
    ],
)
def test_it_says_where_it_has_no_answer(text: str, position: int, length: int, why: str) -> None:
    with pytest.raises(GrammarError, match=why) as caught:
        condition(text)
    assert (caught.value.position, caught.value.length) == (position, length)


def test_it_is_reached_from_the_queryset() -> None:
    delivery("a@one.example", state="held")
    assert Delivery.objects.matching("state:held").count() == 1
    assert Delivery.objects.matching("state:queued").count() == 0


# ── Counting ──────────────────────────────────────────────────────────────────────────────────


def test_it_counts_states_and_domains_without_reading_rows(django_assert_num_queries: Any) -> None:
    delivery("a@one.example", state="held")
    delivery("b@two.example", state="deferred")
    for text in ("state:held -domain:two.example", "state:held -to:@two.example", "state:held -site:x"):
        with django_assert_num_queries(1) as queries:
            assert count_of(Search(parse(text), NOW), 0, None) == Counted(1)
        assert "queueapp_delivery" not in queries[0]["sql"]


def test_it_stops_counting_rows_at_the_cap() -> None:
    for n in range(4):
        delivery(f"{n}@one.example")
    everything = parse("attempts:0")
    assert count(everything, cap=3) == (3, False)
    assert count(everything, cap=4) == (4, True)
    assert count(everything) == (4, True)
    assert count(Query()) == (4, True)
