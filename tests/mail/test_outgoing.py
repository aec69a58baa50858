"""What is added to a mail and taken out of it when it leaves; everything else stays as it is."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queueapp.mail.outgoing import finished, new_message_id, parted, without_blind

AT = datetime(2026, 11, 24, 12, 30, tzinfo=UTC)
TRACE = b"Received: from here\r\n\tby there; now\r\n"
DATE = b"Date: Tue, 24 Nov 2026 12:30:00 +0000\r\n"


def leave(content: bytes, message_id: str = "1@row.test") -> bytes:
    head, rest = finished(content, trace=TRACE, message_id=message_id, spare_id="7@spare.test", date=AT)
    return head + rest


def test_a_whole_mail_gets_our_received_line_and_nothing_else() -> None:
    mail = b"Message-ID: <x@y>\r\nDate: yesterday\r\nSubject: x\r\n\r\nDear Bcc: me\r\n"
    assert leave(mail) == TRACE + mail


def test_what_is_missing_is_put_on_top() -> None:
    mail = b"Subject: x\r\n\r\nMessage-ID: <in@body>\r\nDate: in the body\r\n"
    assert leave(mail) == TRACE + b"Message-ID: <1@row.test>\r\n" + DATE + mail


@pytest.mark.parametrize("name", ["", "two words@x", "x@y>\r\nEvil: 1", "ä@x.test", "@", "x" * 900])
def test_a_row_that_holds_no_usable_id_gives_way_to_the_spare_one(name: str) -> None:
    assert b"Message-ID: <7@spare.test>\r\n" in leave(b"Subject: x\r\n\r\nx\r\n", name)


@pytest.mark.parametrize(
    "field", [b"MESSAGE-id: <x@y>", b"Message-ID : <x@y>", b"Message-ID:", b"message-id\t:\r\n <x@y>"]
)
def test_a_message_id_is_seen_however_it_is_written(field: bytes) -> None:
    for mail in (field + b"\r\nDate: x\r\n\r\nx\r\n", b"Date: x\r\n" + field + b"\r\n\r\nx\r\n"):
        assert leave(mail) == TRACE + mail
        assert new_message_id(mail, "h.test") == ""


def test_fields_of_a_longer_name_are_not_taken_for_it() -> None:
    mail = b"X-Message-ID: <x@y>\r\nResent-Date: x\r\nDate-Warning: x\r\nMessage-IDs: x\r\n\r\nx\r\n"
    assert leave(mail) == TRACE + b"Message-ID: <1@row.test>\r\n" + DATE + mail


@pytest.mark.parametrize(
    "blind",
    [
        b"Bcc: a@b\r\n",
        b"BCC:a@b,\r\n c@d,\r\n\te@f\r\n",
        b"bcc :\r\n",
        b"Resent-Bcc: x@y\r\n z@y\r\n",
        b"Bcc: a\r\nBcc: b\r\n",
    ],
)
@pytest.mark.parametrize("before", [b"", b"To: x@y\r\n"])
def test_blind_copies_are_taken_out(blind: bytes, before: bytes) -> None:
    after = b"Message-ID: <x@y>\r\nDate: x\r\n"
    assert (
        leave(before + blind + after + b"\r\nBcc: stays\r\n")
        == TRACE + before + after + b"\r\nBcc: stays\r\n"
    )


def test_what_only_looks_like_a_blind_copy_stays() -> None:
    head = b"X-Bcc: a\r\nSubject: Re\r\n bcc: of that\r\nBccs: x\r\n"
    assert without_blind(head) == head


def test_a_mail_without_header_gets_one_and_keeps_its_text() -> None:
    assert leave(b"\r\nhello\r\n") == TRACE + b"Message-ID: <1@row.test>\r\n" + DATE + b"\r\nhello\r\n"


def test_a_first_line_that_looks_folded_does_not_become_a_part_of_ours() -> None:
    added = TRACE + b"Message-ID: <1@row.test>\r\n" + DATE
    assert leave(b" hello\r\n\r\nworld\r\n") == added + b"\r\n hello\r\n\r\nworld\r\n"


def test_a_mail_without_body_stays_without() -> None:
    mail = b"Message-ID: <x@y>\r\nDate: x\r\n"
    assert leave(mail) == TRACE + mail


def test_new_ids_differ_and_name_the_host() -> None:
    made = {new_message_id(b"Subject: x\r\n\r\nx\r\n", "mail.test") for _ in range(3)}
    assert len(made) == 3
    assert all(each.endswith("@mail.test") for each in made)


lines = st.lists(
    st.sampled_from(
        [
            b"Subject: x",
            b" folded",
            b"Bcc: x",
            b"From a mbox",
            b"Date: x",
            b"no field",
            b"",
            b"Message-ID: <a@b>",
        ]
    )
)


@given(lines)
def test_nothing_else_changes(parts: list[bytes]) -> None:
    mail = b"\r\n".join([*parts, b""]) or b"\r\n"
    head, rest = parted(mail)
    left = leave(mail)
    assert left.startswith(TRACE)
    assert left.endswith(rest)
    assert left.endswith(without_blind(head) + rest)
    assert leave(mail) == left
