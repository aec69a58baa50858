"""What replies mean: every line of the table by its own sample, and a set that it has not seen."""

from __future__ import annotations

import re
import time
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queueapp.mail.classes import BY_REPUTATION
from queueapp.mail.classify import CLASSES, classify, retry_in
from queueapp.mail.codes import ENHANCED, PLAIN, VAGUE
from queueapp.mail.patterns import BY_NAME, PATTERNS, Pattern, read
from queueapp.mail.providers import PROVIDERS
from queueapp.mail.reply import Reply

REPLIES = [
    line
    for line in Path(__file__).with_name("replies.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]
DESIGN_CLASSES = """
    delivered greylisted rate_limited busy connection dns tls mailbox_full no_such_user no_such_domain
    blocklisted authentication content policy too_large protocol suppressed expired cancelled readdressed
    other
""".split()  # noqa: SIM905


def class_of(line: str, stage: str = "") -> str:
    return classify(Reply.parse(line), stage).reply_class


def test_it_works() -> None:
    verdict = classify(Reply.parse("550 5.1.1 user unknown"))
    assert verdict.reply_class == "no_such_user"
    assert verdict.is_permanent
    assert verdict.rule == "code:5.1.1"
    assert verdict.retry_in is None


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: pattern.name)
def test_it_judges_the_sample_of_each_line_by_that_line(pattern: Pattern) -> None:
    reply = Reply.parse(pattern.example)
    verdict = classify(reply, pattern.stage)
    assert (verdict.rule, verdict.reply_class) == (f"pattern:{pattern.name}", pattern.reply_class)
    assert verdict.retry_in == (pattern.asks or pattern.delay)
    assert pattern.is_permanent in (None, verdict.is_permanent)


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: pattern.name)
def test_each_sample_uses_names_and_addresses_kept_for_documentation(pattern: Pattern) -> None:
    for domain in re.findall(r"@([\w.-]+)", pattern.example):
        assert domain.rpartition(".")[2] == "example" or "example" in domain.split(".")
    for address in re.findall(r"\b(?:\d{1,3}\.){3}\d{1,3}\b", pattern.example):
        assert address.startswith("192.0.2."), address


def test_lines_that_tell_of_a_low_repute_are_there_and_say_too_much() -> None:
    for rule in BY_REPUTATION:
        kind, _, name = rule.partition(":")
        found = BY_NAME[name].reply_class if kind == "pattern" else ENHANCED["x" + name[1:]]
        assert found == "rate_limited", rule


def test_it_knows_the_words_of_the_large_providers() -> None:
    assert len(PATTERNS) >= 300
    n = Counter(pattern.provider for pattern in PATTERNS)
    for provider in (
        "google",
        "microsoft",
        "outlook",
        "yahoo",
        "apple",
        "gmx",
        "comcast",
        "mimecast",
        "cisco",
        "qq",
    ):
        assert n[provider] >= 5, provider
    assert set(n) - {""} <= PROVIDERS.keys()


@pytest.mark.parametrize("line", REPLIES)
def test_it_judges_replies_that_are_not_in_the_table(line: str) -> None:
    reply_class, reply = line.split(maxsplit=1)
    assert class_of(reply) == reply_class


@pytest.mark.parametrize("code", [421, 450, 451, 452, 550, 552, 554])
def test_it_takes_permanence_from_the_reply_code_alone(code: int) -> None:
    for text in "5.1.1 user unknown", "4.7.1 Greylisted", "blocked using zen.spamhaus.org", "":
        assert classify(Reply.parse(f"{code} {text}")).is_permanent is (code >= 500)


def test_it_never_blames_the_recipient_before_one_was_named() -> None:
    for stage in "greeting", "ehlo", "starttls", "auth", "mail":
        assert class_of("550 5.1.1 user unknown", stage) == "policy"
        assert class_of("550 no such domain", stage) == "policy"
    assert class_of("550 5.1.1 user unknown", "rcpt") == "no_such_user"
    assert class_of("550 5.1.1 user unknown", "dot") == "no_such_user"


def test_it_reads_a_code_by_its_stage() -> None:
    assert class_of("552 sorry", "rcpt") == "mailbox_full"
    assert class_of("552 sorry", "dot") == "too_large"
    assert class_of("454 not now", "starttls") == "tls"
    assert class_of("554 no", "greeting") == "policy"
    assert class_of("550 Requested action not taken: mailbox unavailable", "dot") == "other"


def test_it_takes_no_name_for_evidence() -> None:
    assert class_of("550 5.7.1 <virus@example.com>: refused") == "policy"
    assert class_of("550 5.1.1 spamhaus@blacklist.example: unknown") == "no_such_user"
    assert class_of("451 4.3.0 <greylist@example.com>: deferred") == "busy"


def test_it_suppresses_only_by_an_address_or_a_domain_that_is_not_there() -> None:
    assert {name for name, info in CLASSES.items() if info.suppresses} == {"no_such_user", "no_such_domain"}


def test_it_knows_exactly_the_classes_of_the_design() -> None:
    assert list(CLASSES) == DESIGN_CLASSES
    used = {p.reply_class for p in PATTERNS} | set(ENHANCED.values()) | set(PLAIN.values())
    assert used <= CLASSES.keys()


def test_it_has_a_sentence_and_an_advice_for_each_class() -> None:
    for info in CLASSES.values():
        assert info.sentence[0].isupper()
        assert info.sentence.endswith(".")
        assert len(info.sentence) <= 140
        assert info.advice.endswith(".")
        assert info.sentence != info.advice


def test_it_lists_as_vague_only_codes_that_it_knows() -> None:
    known = {"x" + key.split()[-1][1:] for key in ENHANCED}
    assert known >= VAGUE - {"x.0.0"}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Greylisted, try again in 300 seconds", 300),
        ("please retry in 5 minutes", 300),
        ("try again after 1 hour", 3_600),
        ("Greylisting in action, please come back in 00:04:30", 270),
        ("greylisted for 120 seconds", 120),
        ("wait 30s", 30),
        ("try again in 90 sec.", 90),
        ("please try again in 0 seconds", 1),
        ("try again in 30 days", 86_400),
        ("try again in 999999 hours", 86_400),
        ("try again later", None),
        ("limit of 100 per 60 minutes exceeded", None),
        ("try again at your leisure. Retries end after 5 days", None),
        ("retry from 192.0.2.9 5m", None),
    ],
)
def test_it_reads_how_long_to_wait(text: str, seconds: int | None) -> None:
    assert classify(Reply(451, "4.7.1", text)).retry_in == seconds


def test_it_waits_for_nothing_after_a_permanent_reply() -> None:
    assert classify(Reply.parse("550 5.7.1 try again in 300 seconds")).retry_in is None


def test_it_judges_twenty_thousand_replies_a_second() -> None:
    replies = [Reply.parse(pattern.example) for pattern in PATTERNS]
    start = time.process_time()
    for number in range(40):
        for reply in replies:
            classify(Reply(reply.code, reply.enhanced, f"{reply.text} id {number % 10}"))
    rate = 40 * len(replies) / (time.process_time() - start)
    # Repeated wordings come from the cache, as in life. A tenth of what is measured, for slow machines.
    assert rate > 5_000, f"{rate:.0f} replies a second"


@pytest.mark.parametrize(
    "text",
    [
        "try " * 250,
        "a@" * 500,
        "<" * 1000,
        "ip blocked " * 90,
        "exceeded " * 110,
        "try again" + " " * 990,
        "@" * 1000,
        "a" * 999 + "@",
        "retry 1" * 140,
    ],
)
def test_it_is_quick_on_hostile_text(text: str) -> None:
    start = time.process_time()
    classify(Reply(451, "", text))
    assert time.process_time() - start < 0.1


@given(
    st.integers(200, 599), st.from_regex(r"([245]\.\d{1,3}\.\d{1,3})?", fullmatch=True), st.text(max_size=200)
)
def test_it_gives_a_class_to_every_reply(code: int, enhanced: str, text: str) -> None:
    verdict = classify(Reply(code, enhanced, text))
    assert verdict.reply_class in CLASSES
    assert re.match(r"(code|pattern):\S", verdict.rule)
    assert verdict.is_permanent is (code >= 500)
    assert verdict.retry_in is None or 1 <= verdict.retry_in <= 86_400


@given(st.text(alphabet="try again in12 hours:5ms.", max_size=80))
def test_it_bounds_every_wait(text: str) -> None:
    wait = retry_in(text)
    assert wait is None or 1 <= wait <= 86_400


ENTRY = '[[pattern]]\nname = "a"\nclass = "policy"\ntext = ["no entry"]\nexample = "550 no entry"\n'


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (ENTRY + ENTRY, "twice"),
        (ENTRY.replace("policy", "nonsense"), "no class 'nonsense'"),
        (ENTRY.replace("no entry", "No Entry"), "lower-case"),
        (ENTRY.replace('["no entry"]', '["no"]'), "3 letters"),
        (ENTRY.replace("text", "texts"), "unknown keys: texts"),
        (ENTRY.replace('example = "550 no entry"', ""), "needs a name"),
    ],
)
def test_it_refuses_a_table_with_a_mistake(wrong: str, reason: str) -> None:
    assert read(ENTRY)[0].reply_class == "policy"
    with pytest.raises(ValueError, match=reason):
        read(wrong)
