"""The data in lists.toml, which of it settings choose, the names that are asked for, and answers read."""

from __future__ import annotations

from typing import Any

import pytest

from queueapp import conf
from queueapp.conf import Address
from queueapp.watch.blocklists.answer import read
from queueapp.watch.blocklists.lists import LISTS, Blocklist, Choice, chosen
from queueapp.watch.blocklists.names import hidden, query_name
from queueapp.watch.blocklists.replies import list_named
from tests.watch.blocklists.zones import KEY

EACH = pytest.mark.parametrize("each", LISTS.values(), ids=lambda each: each.name)
OWN = (Address("127.0.0.1", 53),)


def choice(*words: str, **changes: Any) -> Choice:
    with conf.override(**{"blocklists": words, "blocklist_resolver": OWN, **changes}):
        return chosen()


def names(*words: str, **changes: Any) -> set[str]:
    return {each.name for each in choice(*words, **changes).lists}


@EACH
def test_each_list_says_all_that_people_need(each: Blocklist) -> None:
    assert each.title
    assert each.terms.endswith(".")
    assert each.removal.startswith(("https://", "http://"))
    assert each.named
    assert all(phrase == phrase.lower() and len(phrase) > 3 for phrase in each.named)


@EACH
def test_each_code_is_read_as_it_says(each: Blocklist) -> None:
    for code, (severity, meaning) in each.codes.items():
        found = read(each, [code])
        assert (found.state, found.severity, found.meaning) == ("listed", severity, meaning)
    for code in each.errors:
        assert read(each, [code]).state == "error"
    for code in each.clean:
        assert read(each, [code]).state == "clean"


@EACH
def test_each_list_is_known_by_its_names(each: Blocklist) -> None:
    for phrase in each.named:
        named = list_named(f"554 5.7.1 Client host [45.67.89.10] blocked using {phrase.upper()}")
        assert named == each


def test_bits_are_added_up() -> None:
    found = read(LISTS["uribl"], ["127.0.0.14"])
    assert found.severity == "danger"
    assert found.meaning.count(";") == 2


def test_several_answers_give_the_worst_severity_and_all_meanings() -> None:
    found = read(LISTS["abusix"], ["127.0.0.11", "127.0.0.2", "93.184.216.34"])
    assert (found.state, found.severity) == ("listed", "danger")
    assert "generic name" in found.meaning
    assert "spam traps" in found.meaning


def test_a_code_that_is_new_counts_by_the_severity_of_the_list() -> None:
    found = read(LISTS["spamhaus-zen"], ["127.0.0.77"])
    assert (found.state, found.severity, found.meaning) == (
        "listed",
        "danger",
        "listed, by the code 127.0.0.77",
    )


def test_a_flood_of_answers_is_bounded() -> None:
    found = read(LISTS["psbl"], [f"127.0.1.{n}" for n in range(1, 200)])
    assert len(found.codes) <= 8
    assert len(found.meaning) <= 500


def test_nothing_is_asked_unless_somebody_says_so() -> None:
    assert not choice("no").is_on
    assert conf.load({}).blocklists == ("no",)


def test_yes_is_the_usual_ones_with_more_and_less() -> None:
    usual = names("yes")
    assert len(usual) >= 20
    assert {"spamhaus-zen", "spamhaus-dbl", "spamcop", "psbl"} <= usual
    assert names("yes", "barracuda", "-psbl") == usual - {"psbl"} | {"barracuda"}
    assert names("-psbl") == usual - {"psbl"}
    assert names("spamcop") == {"spamcop"}
    assert names("yes", blocklist_keys=(("abusix", KEY),)) == usual | {"abusix", "abusix-domains"}


def test_it_says_why_a_list_is_not_asked() -> None:
    found = choice("abusix", "invaluement", "sorbs")
    assert found.is_on
    assert not found.lists
    assert "MAILWEIR_BLOCKLIST_KEYS=abusix=" in found.why_not["abusix"]
    assert "can't be asked" in found.why_not["invaluement"]
    assert found.unknown == ("sorbs",)


def test_lists_that_forbid_public_name_servers_are_not_asked_by_them() -> None:
    public = (Address("8.8.8.8", 53),)
    found = choice("spamhaus-zen", "spamcop", blocklist_resolver=public)
    assert [each.name for each in found.lists] == ["spamcop"]
    assert "8.8.8.8" in found.why_not["spamhaus-zen"]
    assert names("spamhaus-zen", blocklist_resolver=public, blocklist_keys=(("spamhaus", KEY),)) == {
        "spamhaus-zen"
    }
    assert not names("spamhaus-zen", blocklist_resolver=(), dns=public)


@pytest.mark.parametrize(
    ("name", "target", "kind", "asked"),
    [
        ("spamcop", "45.67.89.10", "ip4", "10.89.67.45.bl.spamcop.net"),
        ("spamhaus-zen", "2a00:1450::10", "ip6",
         "0.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.5.4.1.0.0.a.2.zen.spamhaus.org"),
        ("spamhaus-dbl", "mail.weir.org", "domain", "mail.weir.org.dbl.spamhaus.org"),
        ("dronebl", "127.0.0.2", "ip6", "2.0.0.127.dnsbl.dronebl.org"),
    ],
)  # fmt: skip
def test_it_asks_for_the_right_name(name: str, target: str, kind: str, asked: str) -> None:
    assert query_name(LISTS[name], target, kind, conf.load({})) == asked


def test_a_key_goes_into_the_name_and_out_of_every_text() -> None:
    settings = conf.load({"MAILWEIR_BLOCKLIST_KEYS": f"spamhaus={KEY}"})
    name = query_name(LISTS["spamhaus-zen"], "45.67.89.10", "ip4", settings)
    assert name == f"10.89.67.45.{KEY}.zen.dq.spamhaus.net"
    assert hidden(f"{name} and {KEY.upper()}", settings) == "10.89.67.45.….zen.dq.spamhaus.net and …"
    assert KEY not in repr(settings)


def test_a_key_that_is_none_is_refused_without_being_shown() -> None:
    with pytest.raises(conf.WrongSetting) as caught:
        conf.load({"MAILWEIR_BLOCKLIST_KEYS": f"spamhaus={KEY}, abusix=no key"})
    assert KEY not in str(caught.value)
    assert "NAME=KEY" in str(caught.value)
