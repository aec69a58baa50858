"""Which rule decides on a reply, and what never sets one off."""

from __future__ import annotations

import pytest

from queueapp.engine.rules import shipped, wording
from queueapp.engine.rules.ruleset import Rule, RuleSet, of_file
from queueapp.engine.rules.wording import WrongWording
from queueapp.mail.classes import CLASSES
from queueapp.mail.classify import classify
from queueapp.mail.reply import Reply
from queueapp.models import SCOPES_OF
from queueapp.transports.base import Outcome

pytestmark = pytest.mark.once


def said(line: str, stage: str = "mail") -> Outcome:
    """A reply as the transport hands it on."""
    reply = Reply.parse(line)
    verdict = classify(reply, stage)
    result = "bounced" if verdict.is_permanent else "deferred"
    return Outcome(
        result, verdict.reply_class, reply.code, reply.enhanced, reply.text, host="mx.example.net",
        rule=verdict.rule, retry_in=verdict.retry_in, stage=stage,  # type: ignore[arg-type]
    )  # fmt: skip


# What the large providers say, and which of the shipped rules hears it.
HEARD = [
    ("421-4.7.28 Gmail has detected an unusual rate of unsolicited mail", "google_rate"),
    ("421-4.7.0 suspicious due to the very low reputation of the sending IP", "google_reputation"),
    ("550 5.7.1 Unfortunately, messages from [192.0.2.7] weren't sent. Please contact your Internet service "
     "provider since part of their network is on our block list (S3150).", "microsoft_blocked"),
    ("451 4.7.650 The mail server [192.0.2.7] has been temporarily rate limited due to IP reputation. (S775)",
     "microsoft_reputation"),
    ("421 RP-001 (BAY004) Unfortunately, some messages from 192.0.2.7 weren't sent. Please try again.",
     "microsoft_rate"),
    ("451 4.7.500 Server busy. Please try again later from [192.0.2.7]. (S77719)", "microsoft_busy"),
    ("550 5.7.606 Access denied, banned sending IP [192.0.2.7]", "microsoft_banned"),
    ("421 4.7.0 [TSS04] Messages from 192.0.2.7 temporarily deferred, too much", "yahoo_deferred"),
    ("421 4.7.1 [TS03] All messages from 192.0.2.7 will be permanently deferred", "yahoo_permanent"),
    ("550 5.7.0 Blocked - see https://support.apple.com/en-us/HT204137 [CS01]", "apple_reputation"),
    ("554 5.7.0 RL000001 192.0.2.7 Throttled - try again later.", "comcast_rate"),
    ("554 comcast 192.0.2.7 Comcast BL000000 block for spam.", "comcast_blocked"),
    ("550 Connection frequency limited. http://service.mail.example.com/cgi-bin/help", "qq_rate"),
    ("554 IP=192.0.2.7 - Ask your postmaster for help or to contact tosa@rx.t-online.de",
     "tonline_blocked"),
    ("421 mwinf5c04 ME Trop de connexions OFR_104 [104]", "orange_rate"),
    ("550 5.7.1 Service unavailable; Client host blocked using zen.spamhaus.org", "blocked"),
    ("450 4.7.1 Error: too much mail from 192.0.2.7", "rate_limited"),
    ("421 4.3.2 System too busy, try again later", "busy"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "key"), HEARD, ids=[key for _, key in HEARD])
def test_a_shipped_rule_hears_what_its_provider_says(line: str, key: str) -> None:
    found = RuleSet(of_file()).decide(said(line), "mx.example.net")
    assert found is not None
    assert found.key == key


def test_the_shipped_rules_are_sound() -> None:
    rows = shipped.rows()
    assert len({row.key for row in rows}) == len({row.name for row in rows}) == len(rows) > 25
    for row in rows:
        assert row.scope in SCOPES_OF[row.action], row.key
        assert set(row.classes) <= CLASSES.keys(), row.key
        assert row.about
        if row.action in ("slow", "suspend", "other_source"):
            assert row.lasts, row.key
        if row.action == "slow":
            assert row.rate, row.key


# Our own findings: none of them has a reply code, whatever class and text they carry.
OWN = {
    "site-backoff": "blocklisted",
    "suspension": "blocklisted",
    "effect": "rate_limited",
    "warm-up": "rate_limited",
    "drained": "other",
    "internal": "other",
    "journal": "other",
    "signing": "other",
    "no-body": "other",
    "age": "expired",
    "operation": "cancelled",
    "": "suppressed",
}


@pytest.mark.parametrize("rule", OWN)
def test_nothing_of_our_own_sets_a_rule_off(rule: str) -> None:
    text = "421 4.7.0 [TSS04] blocked using zen.spamhaus.org, on our block list (S3150)"
    every = Rule(1, "", "all", "site", "suspend")
    rules = RuleSet([*of_file(), every])
    for result in ("deferred", "bounced"):
        own = Outcome(result, OWN[rule], None, "", text, host="mx.example.net", rule=rule)  # type: ignore[arg-type]
        assert rules.decide(own, "x") is None
        assert not rules.is_block(own, "x")
        assert rules.first_block([own], "x") is None


def test_a_delivery_sets_nothing_off() -> None:
    every = Rule(1, "", "all", "site", "suspend")
    assert RuleSet([every]).decide(Outcome("delivered", "delivered", 250, "2.0.0", "blocked"), "x") is None


def test_the_first_rule_that_matches_decides_and_all_that_it_names_must_hold() -> None:
    mine = Rule(
        7, "", "mine", "site", "slow", classes=frozenset({"busy"}), texts=(("call", "later"),),
        codes=("451",), sites=frozenset({"example.net"}),
    )  # fmt: skip
    rules = RuleSet([mine, *of_file()])

    def decides(line: str, site: str) -> str:
        found = rules.decide(said(line), site)
        return found.name if found else ""

    assert decides("451 4.3.2 System too busy. Call us later", "mx.example.net") == "mine"
    assert decides("451 4.3.2 System too busy. Call us later", "badexample.net") == "Busy again and again"
    assert decides("421 4.3.2 System too busy. Call us later", "example.net") == "Busy again and again"
    assert decides("451 4.3.2 System too busy", "example.net") == "Busy again and again"
    assert decides("550 5.7.1 spam: call us later", "example.net") == ""


@pytest.mark.parametrize(
    ("text", "pattern", "is_there"),
    [
        ("on our block list (s3150)", "block list", True),
        ("unblock list", "block list", False),
        ("unblock list, a block list", "block list", True),
        ("too many mails from mail.ru", "too many*mail.ru", True),
        ("mail.ru says too many", "too many*mail.ru", False),
        ("[tss04] messages", "[tss0", True),
    ],
)
def test_texts_are_words_in_their_order(text: str, pattern: str, is_there: bool) -> None:
    assert wording.has(text, wording.phrase(pattern)) is is_there


def test_an_address_is_no_evidence() -> None:
    rule = Rule(1, "", "x", "site", "slow", texts=(wording.phrase("blocked"),))
    assert RuleSet([rule]).decide(said("550 5.1.1 <blocked@example.com> unknown"), "x") is None


@pytest.mark.parametrize("text", ["", "ab", "*", "x" * 300, "bad\x00word"])
def test_a_text_that_says_nothing_is_refused_by_name(text: str) -> None:
    with pytest.raises(WrongWording, match="needs a word"):
        wording.phrase(text)


@pytest.mark.parametrize("code", ["250", "42", "421 5", "421-4.7.0", "x"])
def test_a_code_that_is_none_is_refused_by_name(code: str) -> None:
    with pytest.raises(WrongWording, match=f"the code '{code}'"):
        wording.code(code)
