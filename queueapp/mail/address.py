"""Mail addresses: one strict reader for everything that is an envelope address or a mailbox in a header.

Promises: what `parse_address` returns can be written into MAIL FROM, RCPT TO, a header or a row
without quoting again: no control characters, no line breaks, lengths within RFC 5321 4.5.3.1, the
domain as lower-case A-labels. Never looks anything up and never mends an address by guessing:
what is wrong is an AddressError that says what and where. Lists in headers may hold what people
write there: quotes, comments, groups, encoded words. RFC 5321 4.1.2, RFC 5322 3.4, RFC 6531, RFC 5890.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache

import idna

from .entity import header
from .headers import decode
from .reply import clean

MAX_LOCAL = 64
MAX_DOMAIN = 255
MAX_LABEL = 63
MAX_HEADER = 500_000
MAX_DISPLAY = 200

_CRLF = "\r\n"
_ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-\x80-\U0010ffff]"
_DOT_ATOM = re.compile(rf"{_ATEXT}+(?:\.{_ATEXT}+)*")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")

_PIECE = re.compile(r'"(?:[^"\\]|\\.)*"|\((?:[^()\\]|\\.)*\)|<[^<>]*>|[,;:]|\s+|[^"(<,;:\s]+|.', re.DOTALL)
_PLAIN_DISPLAY = re.compile(r"[\w!#$%&'*+/=?^`{|}~ -]+")


class AddressError(ValueError):
    """An address that can't be used: `value` (bounded), `reason` for people, `enhanced` status code."""

    def __init__(self, value: str, reason: str, enhanced: str = "5.1.3") -> None:
        self.value = clean(value, 80) + ("…" if len(value) > 80 else "")
        self.reason = reason
        self.enhanced = enhanced
        super().__init__(f"{self.value!r} is not a usable address: {reason}")


@dataclass(frozen=True, slots=True)
class Address:
    """`local` is as written (quoted where it must be), `domain` is the A-label form in lower case."""

    local: str
    domain: str

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}"

    @property
    def is_literal(self) -> bool:
        return self.domain.startswith("[")

    @property
    def needs_smtputf8(self) -> bool:
        return not self.local.isascii()

    @property
    def unicode_domain(self) -> str:
        """The domain as people write it; the A-label where it is no valid IDNA."""
        if "xn--" not in self.domain:
            return self.domain
        try:
            return idna.decode(self.domain)
        except (idna.IDNAError, UnicodeError):
            return self.domain


@lru_cache(maxsize=4096)  # a mail's addresses are asked for at MAIL and RCPT, and again with its content
def parse_address(text: str, *, max_len: int = 254, allow_literal: bool = False) -> Address:
    """Read a bare `local@domain` (no display name, no angle brackets). Raises AddressError."""
    if not text:
        raise AddressError(text, "it is empty")
    # Cheap bound before any other work: a character has at least one octet.
    if len(text) > max_len or len(text.encode("utf-8", "replace")) > max_len:
        raise AddressError(text, f"it is longer than {max_len} octets")
    if not text.isprintable():
        raise AddressError(text, "it holds a control or invisible character")
    local, at, domain = text.rpartition("@")
    if not at:
        raise AddressError(text, "it has no domain: write local@domain")
    if not domain:
        raise AddressError(text, "there is no domain after the @")
    address = Address(_local(local, text), _domain(domain, text, allow_literal))
    # A-labels are longer than what they stand for.
    if len(str(address).encode()) > max_len:
        raise AddressError(text, f"it is longer than {max_len} octets")
    return address


def _local(local: str, text: str) -> str:
    if not local:
        raise AddressError(text, "there is nothing before the @")
    if len(local.encode()) > MAX_LOCAL:
        raise AddressError(text, f"the part before the @ is longer than {MAX_LOCAL} octets")
    if _DOT_ATOM.fullmatch(local):
        return local
    quoted = _QUOTED.fullmatch(local)
    if quoted:
        plain = re.sub(r"\\(.)", r"\1", quoted.group(1))
        # One spelling for one mailbox: quotes only where they are needed (RFC 5321 4.1.2).
        return plain if _DOT_ATOM.fullmatch(plain) else local
    if " " in local:
        raise AddressError(text, "there is a space outside quotes")
    if local.startswith(".") or local.endswith(".") or ".." in local:
        raise AddressError(text, "a dot begins or ends the part before the @, or two dots follow one another")
    raise AddressError(text, "the part before the @ holds a character that must be quoted")


def _domain(domain: str, text: str, allow_literal: bool) -> str:
    if domain.startswith("["):
        return _literal(domain, text, allow_literal)
    ascii_domain = domain.lower() if domain.isascii() else _a_label(domain, text)
    if len(ascii_domain) > MAX_DOMAIN:
        raise AddressError(text, f"the domain is longer than {MAX_DOMAIN} octets")
    if not _DOMAIN.fullmatch(ascii_domain):
        raise AddressError(text, _why_not_domain(ascii_domain), "5.1.2")
    if ascii_domain.rpartition(".")[2].isdigit():
        raise AddressError(text, "its domain is a number or an IP address, not a name", "5.1.2")
    return ascii_domain


def _a_label(domain: str, text: str) -> str:
    try:
        return idna.encode(domain, uts46=True, transitional=False).decode("ascii").lower()
    except (idna.IDNAError, UnicodeError):
        raise AddressError(
            text, f"{clean(domain, 80)!r} is no valid internationalised domain", "5.1.2"
        ) from None


def _why_not_domain(domain: str) -> str:
    labels = domain.split(".")
    if "" in labels:
        return "the domain has an empty label (a dot too many)"
    if any(len(label) > MAX_LABEL for label in labels):
        return f"a label of the domain is longer than {MAX_LABEL} octets"
    return f"{domain!r} is no domain name: letters, digits, hyphens and dots only"


def _literal(domain: str, text: str, allow_literal: bool) -> str:
    if not allow_literal:
        raise AddressError(text, "address literals such as [192.0.2.1] are not accepted", "5.1.2")
    inner = domain[1:-1] if domain.endswith("]") else ""
    try:
        if inner.lower().startswith("ipv6:"):
            return f"[IPv6:{ipaddress.IPv6Address(inner[5:])}]"
        return f"[{ipaddress.IPv4Address(inner)}]"
    except ValueError:
        raise AddressError(text, f"{domain!r} is no valid address literal", "5.1.2") from None


def parse_mailbox_header(value: str | bytes) -> list[tuple[str, Address]]:
    """(display name or "", address) for each mailbox, in order. An empty list for an empty header."""
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    if len(text) > MAX_HEADER:
        raise AddressError(text, f"the list is longer than {MAX_HEADER} characters")
    found: list[tuple[str, Address]] = []
    words: list[str] = []
    for piece in _PIECE.findall(text):
        if piece in (",", ";"):
            _take(words, found)
        elif piece == ":" and "<" not in "".join(words) and "@" not in "".join(words):
            words.clear()  # the name of a group
        elif not piece.startswith("(") or len(piece) == 1:
            words.append(piece)
    _take(words, found)
    return found


def _take(words: list[str], found: list[tuple[str, Address]]) -> None:
    text = "".join(words).strip()
    angles = [word for word in words if word.startswith("<") and len(word) > 1]
    words.clear()
    if not text:
        return
    if not angles:
        found.append(("", parse_address(re.sub(r"\s*@\s*", "@", text))))
        return
    display, _, rest = text.rpartition(angles[-1])
    if len(angles) > 1 or rest.strip():
        raise AddressError(text, "there is more than one address, or text after it: separate them by commas")
    found.append((_display(display), parse_address(angles[0][1:-1].strip())))


def _display(text: str) -> str:
    text = text.strip()
    if len(text) > 1 and text.startswith('"') and text.endswith('"'):
        text = re.sub(r"\\(.)", r"\1", text[1:-1])
    return decode(text)[:MAX_DISPLAY]


def format_mailbox(display: str, address: Address | str, *, is_utf8: bool = False) -> str:
    """`display <address>` for a header, on one line; quoted or encoded where the display name needs it."""
    display = decode(display)[:MAX_DISPLAY]
    if not display:
        return str(address)
    if not display.isascii() and not is_utf8 or "=?" in display:
        # `decode` has taken out all that `header` refuses.
        encoded = header("X", display).decode("ascii").removeprefix("X: ")
        return f"{encoded.replace(_CRLF, '').strip()} <{address}>"
    if not _PLAIN_DISPLAY.fullmatch(display):
        escaped = re.sub(r'(["\\])', r"\\\1", display)
        display = f'"{escaped}"'
    return f"{display} <{address}>"
