"""The lines of an SMTP conversation as a server sees them: replies out, commands and paths in.

Pure functions over bytes. A reply is one line of at most 512 octets (RFC 5321 4.5.3.1.5) or, for
EHLO and HELP, several; text that came from outside never carries a control character into it.
What can't be read raises `WrongLine`, which holds the reply to give.
"""

from __future__ import annotations

import base64
import binascii
import re
from functools import lru_cache
from typing import NamedTuple

MAX_LINE = 512  # command line with its CRLF, RFC 5321 4.5.3.1.4
MAX_PATH_LINE = 2048  # MAIL and RCPT: room for ESMTP parameters and SMTPUTF8 addresses
MAX_AUTH_LINE = 12_288  # RFC 4954 section 4
_MAX_REPLY_TEXT = 480

_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_PLAIN_PATH = re.compile(rb"(?:FROM|TO):<([a-z0-9._=+-]*@?[a-z0-9.-]*)>\Z", re.IGNORECASE)
_KEYWORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*\Z")


class Reply(NamedTuple):
    """What the server answers. `enhanced` may be empty; code 0 closes without a word."""

    code: int
    enhanced: str
    text: str

    @property
    def is_positive(self) -> bool:
        return 200 <= self.code < 400

    def encode(self) -> bytes:
        words = (str(self.code), self.enhanced, printable(self.text, _MAX_REPLY_TEXT))
        return " ".join(word for word in words if word).encode("ascii", "replace") + b"\r\n"


HANG_UP = Reply(0, "", "")


class WrongLine(Exception):  # noqa: N818 - the word of the protocol's texts
    """A command that can't be taken as it stands; `reply` says why."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.text)
        self.reply = reply


class Path(NamedTuple):
    """The argument of MAIL or RCPT: the address as written, without source route, and parameters."""

    address: str
    params: dict[str, str]


def printable(text: str, limit: int = 200) -> str:
    """Text from outside, safe inside a reply or a log line."""
    return _CONTROLS.sub("?", text[: limit * 2])[:limit]


@lru_cache(maxsize=64)
def encode_lines(code: int, *lines: str) -> bytes:
    """For the few that a server says again and again."""
    last = len(lines) - 1
    return b"".join(
        b"%d%s%s\r\n" % (code, b" " if n == last else b"-", printable(line, 400).encode("ascii", "replace"))
        for n, line in enumerate(lines)
    )


def line_limit(verb: bytes) -> int:
    return MAX_PATH_LINE if verb in (b"MAIL", b"RCPT") else MAX_AUTH_LINE if verb == b"AUTH" else MAX_LINE


def parse_path(argument: bytes, keyword: bytes) -> Path:
    """Read `FROM:<address> PARAM=value …`; `keyword` is `FROM` or `TO`.

    A blank after the colon and an address without angle brackets are tolerated, since devices send
    both. A source route (`<@a,@b:user@c>`) is dropped, as RFC 5321 appendix F.2 asks.
    """
    plain = _PLAIN_PATH.match(argument)
    if plain and argument.startswith(keyword):  # nearly all mail; the rest is for the other few
        return Path(plain[1].decode("ascii"), {})
    head, colon, rest = argument.partition(b":")
    enhanced = "5.1.7" if keyword == b"FROM" else "5.1.3"
    if head.strip().upper() != keyword or not colon:
        verb = "MAIL FROM" if keyword == b"FROM" else "RCPT TO"
        raise WrongLine(Reply(501, "5.5.4", f"Syntax: {verb}:<user@example.org>"))
    address, params = _split_path(rest.lstrip(b" "), enhanced)
    try:
        text = address.decode("utf-8")
    except UnicodeDecodeError:
        raise WrongLine(Reply(501, enhanced, "The address is not UTF-8")) from None
    return Path(text, _parse_params(params))


def _split_path(rest: bytes, enhanced: str) -> tuple[bytes, bytes]:
    if not rest.startswith(b"<"):
        address, _, params = rest.partition(b" ")
        if not address:
            raise WrongLine(Reply(501, enhanced, "There is no address; write <user@example.org>"))
        return address, params
    end = _closing_bracket(rest)
    if end < 0 or (len(rest) > end + 1 and rest[end + 1 : end + 2] != b" "):
        shown = printable(rest.decode("ascii", "replace"), 80)
        raise WrongLine(Reply(501, enhanced, f"Bad address syntax: {shown}"))
    address = rest[1:end]
    if address.startswith(b"@") and b":" in address:
        address = address.partition(b":")[2]
    return address, rest[end + 1 :]


def _closing_bracket(rest: bytes) -> int:
    """The `>` that ends the path: the first one outside a quoted local part."""
    if b'"' not in rest:
        return rest.find(b">")
    is_quoted = is_escaped = False
    for at, char in enumerate(rest):
        if is_escaped:
            is_escaped = False
        elif char == 0x5C:
            is_escaped = is_quoted
        elif char == 0x22:
            is_quoted = not is_quoted
        elif char == 0x3E and not is_quoted:
            return at
    return -1


def _parse_params(rest: bytes) -> dict[str, str]:
    params: dict[str, str] = {}
    for word in rest.decode("ascii", "replace").split():
        name, _, value = word.partition("=")
        if not _KEYWORD.match(name) or name.upper() in params:
            raise WrongLine(Reply(501, "5.5.4", f"Bad parameter: {printable(word, 80)}"))
        params[name.upper()] = value
    return params


def decode_base64(line: bytes) -> bytes:
    """One step of AUTH. `=` alone is an empty answer (RFC 4954 section 4)."""
    if line == b"*":
        raise WrongLine(Reply(501, "5.7.0", "Authentication cancelled"))
    try:
        return b"" if line == b"=" else base64.b64decode(line, validate=True)
    except binascii.Error:
        raise WrongLine(Reply(501, "5.5.2", "This is not base64")) from None


def decode_plain(answer: bytes) -> tuple[str, str]:
    """User and password of AUTH PLAIN (RFC 4616)."""
    parts = answer.split(b"\0")
    if len(parts) != 3 or not parts[1] or parts[0] not in (b"", parts[1]):
        raise WrongLine(Reply(501, "5.5.2", "AUTH PLAIN takes NUL user NUL password in base64"))
    return decode_credential(parts[1]), decode_credential(parts[2])


def decode_credential(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise WrongLine(Reply(501, "5.5.2", "User and password must be UTF-8")) from None
