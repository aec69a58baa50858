from __future__ import annotations

from bench.mails import Mails


def test_a_mail_has_the_size_asked_for() -> None:
    for number in (0, 7, 123_456):
        assert len(Mails(1_000_000, 5_000).content(number)) == 5120


def test_a_mail_goes_over_smtp_as_it_is() -> None:
    lines = Mails(10).content(3).split(b"\r\n")
    assert lines[-1] == b""
    assert not [line for line in lines if line.startswith(b".") or b"\n" in line or len(line) > 998]


def test_mails_differ_in_their_message_id() -> None:
    mails = Mails(50, 2)
    assert len({mails.content(number) for number in range(50)}) == 50


def test_every_domain_has_as_many() -> None:
    mails = Mails(100, 20)
    domains = [mails.recipient(number).partition("@")[2] for number in range(100)]
    assert {domains.count(each) for each in domains} == {5}


def test_the_shares_of_loaders_are_all_mails_once() -> None:
    mails = Mails(103)
    assert sorted(number for part in range(7) for number in mails.share(part, 7)) == list(range(103))


def test_arguments_bring_the_same_mails_to_another_process() -> None:
    mails = Mails(3, 2, 700, "x")
    assert Mails.from_arguments(mails.arguments()) == mails
