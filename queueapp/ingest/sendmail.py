"""What a program means by `sendmail -t -i -f SENDER [RCPT…]`, and the mail that it wrote.

Promises: options that other mailers know and that change nothing here are taken in silence, those
that would change what happens (`-bs`, `-q` …) are refused; Bcc is in the envelope only and never in
the stored source; what the program wrote is kept byte for byte but for line ends, the Bcc field and
a From, Date and Message-ID that it left out. Pure: no database, no settings. Wrong usage is a
UsageError (exit 64), wrong data a DataError (exit 65).
"""

from __future__ import annotations

import io
import re
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import BinaryIO

from queueapp.mail.address import AddressError, parse_address, parse_mailbox_header
from queueapp.mail.mime import format_mailbox, to_crlf

EX_OK, EX_USAGE, EX_DATAERR, EX_NOINPUT, EX_SOFTWARE, EX_TEMPFAIL = 0, 64, 65, 66, 70, 75

_FIELD = re.compile(rb"[!-9;-~]+(?=[ \t]*:)")
_RECIPIENT_FIELDS = (b"to", b"cc", b"bcc")
_NEEDS_VALUE = "fFrNRVhBLpCOX"
# -o and its value: how to report, queue or route, which is not the caller's to say here.
_IGNORED = "NRVhBLC"
_MODES = ("m",)


class UsageError(ValueError):
    """Wrong options."""


class DataError(ValueError):
    """A mail or an address that can't be sent."""


@dataclass(slots=True)
class Call:
    """The command line. `sender` None: not said; "" is the null sender."""

    recipients: list[str]
    sender: str | None = None
    name: str = ""
    from_header: bool = False
    dot_ends: bool = True


def parse_arguments(argv: Sequence[str]) -> Call:
    """Read the options as other sendmails do: clustered, values joined or apart. Raises UsageError."""
    call = Call([])
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        if word == "--":
            call.recipients += rest
            break
        if not word.startswith("-") or word == "-":
            call.recipients.append(word)
            continue
        _option(call, word[1:], rest)
    return call


def _option(call: Call, letters: str, rest: list[str]) -> None:
    while letters:
        letter, letters = letters[0], letters[1:]
        if letter in "iUvGn":
            call.dot_ends = call.dot_ends and letter != "i"
        elif letter == "t":
            call.from_header = True
        elif letter == "o":
            call.dot_ends = call.dot_ends and not letters.startswith("i")
            if not letters:
                raise UsageError("The option -o needs its letter, such as -oi.")
            return
        elif letter == "b":
            if letters not in _MODES:
                raise UsageError(f"The mode -b{letters[:20]} is not supported: mail on stdin only.")
            return
        elif letter in _NEEDS_VALUE:
            _valued(call, letter, letters, rest)
            return
        else:
            raise UsageError(f"There is no option -{letter}: -t -i -oi -f SENDER -F NAME -- [RCPT…].")


def _valued(call: Call, letter: str, joined: str, rest: list[str]) -> None:
    if not joined and not rest:
        raise UsageError(f"The option -{letter} needs a value.")
    value = joined or rest.pop(0)
    if letter in "fr":
        call.sender = "" if value in ("", "<>") else value.removeprefix("<").removesuffix(">")
    elif letter == "F":
        call.name = value
    elif letter not in _IGNORED:
        raise UsageError(f"The option -{letter} is not supported.")


def read_mail(stdin: BinaryIO, *, dot_ends: bool, limit: int) -> bytes:
    """All of stdin, or up to a line with a single dot. Raises DataError beyond `limit` bytes."""
    raw = stdin.read(limit + 1)
    if dot_ends:
        raw = _up_to_dot(raw)
    if len(raw) > limit:
        raise DataError(f"The mail is larger than {limit} bytes (MAILWEIR_MAX_SIZE).")
    if not raw.strip():
        raise DataError("There is no mail on stdin.")
    return raw


def _up_to_dot(raw: bytes) -> bytes:
    found = re.search(rb"^\.\r?$", raw, re.MULTILINE)
    return raw[: found.start()] if found else raw


def prepare(call: Call, raw: bytes, sender: str, hostname: str) -> tuple[list[str], bytes]:
    """(recipients, source to store). `sender` is who the mail is from by default. Raises DataError."""
    header, body = _split(to_crlf(raw))
    fields = list(_fields(header))
    recipients = [each for given in call.recipients for each in _addresses(given, "recipient")]
    if call.from_header:
        for name, field in fields:
            if name in _RECIPIENT_FIELDS:
                recipients += _addresses(_value(field), name.decode().capitalize())
    if not recipients:
        raise DataError("There is no recipient: name one, or say -t and fill To, Cc or Bcc.")
    kept = b"".join(field for name, field in fields if name not in (b"bcc", b"resent-bcc"))
    missing = _missing({name for name, _ in fields}, call.name, sender, hostname)
    return list(dict.fromkeys(recipients)), missing + kept + b"\r\n" + body


def envelope_sender(call: Call, default: str) -> str:
    """The address of -f in its one spelling, or the caller's own. Raises DataError."""
    given = default if call.sender is None else call.sender
    return _address(given, "sender") if given else ""


def _split(mail: bytes) -> tuple[bytes, bytes]:
    """Header and body. A first line that is no header field begins the body."""
    at = 0
    for line in io.BytesIO(mail):
        if line == b"\r\n":
            return mail[:at], mail[at + 2 :]
        if not _FIELD.match(line) and not (at and line[:1] in b" \t"):
            return mail[:at], mail[at:]
        at += len(line)
    return mail, b""


def _fields(header: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(name in lower case, the field with its continuation lines), in order."""
    for field in re.split(rb"(?<=\r\n)(?![ \t])", header):
        found = _FIELD.match(field)
        if found:
            yield found[0].lower(), field


def _value(field: bytes) -> str:
    """A field's value on one line."""
    text = re.sub(rb"\r\n[ \t]+", b" ", field.partition(b":")[2]).strip()
    try:
        return text.decode()
    except UnicodeDecodeError:
        raise DataError(f"{field[:20].decode('ascii', 'replace')!r}… is not UTF-8.") from None


def _addresses(text: str, what: str) -> list[str]:
    if any(sign in text for sign in "\r\n\0"):
        raise DataError(f"{what}: {text[:80]!r} holds a line break or a NUL.")
    try:
        return [str(address) for _, address in parse_mailbox_header(text)]
    except AddressError as error:
        raise DataError(f"{what}: {error}.") from None


def _address(text: str, what: str) -> str:
    try:
        return str(parse_address(text))
    except AddressError as error:
        raise DataError(f"{what}: {error}.") from None


def _missing(names: set[bytes], name: str, sender: str, hostname: str) -> bytes:
    """The fields that a mail must have and this one lacks (RFC 5322 3.6, RFC 6409 8)."""
    if any(ord(char) < 32 or ord(char) == 127 for char in name):
        raise DataError(f"The name {name[:60]!r} holds a control character.")
    made = {
        b"date": f"Date: {format_datetime(datetime.now(UTC))}",
        b"from": f"From: {format_mailbox(name, sender)}",
        b"message-id": f"Message-ID: <{uuid.uuid4().hex}@{hostname}>",
    }
    return b"".join(field.encode() + b"\r\n" for key, field in made.items() if key not in names)
