"""DKIM signatures: rsa-sha256 (RFC 6376) and ed25519-sha256 (RFC 8463), relaxed/relaxed.

Pure: octets and parsed keys in, header fields out. The mail has CRLF line ends. The body is made
canonical and hashed once, however many keys sign.

Promises: every field that says who wrote to whom about what is signed, each as often as it is there,
and those that a reader sees once more than that, so that nobody can add another one (RFC 6376 8.15).
Nothing that stands on top of a mail on its way (Received, Return-Path) is signed. The key never shows:
not in a text of an error, not in a repr.
Failure: `KeyUnusable` for octets that are no key; signing itself does not fail on any mail.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, cast, get_args

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa

from .address import AddressError, parse_address, parse_mailbox_header

Algorithm = Literal["rsa", "ed25519"]
ALGORITHMS: tuple[Algorithm, ...] = get_args(Algorithm)
MIN_BITS, MAX_BITS = 2048, 4096

# Signed where they are there: what a reader sees, and what tells a program how to read it.
_ALWAYS_CLOSED = (b"from", b"to", b"cc", b"subject", b"date", b"message-id", b"reply-to")
_CLOSED_IF_THERE = (
    b"sender", b"mime-version", b"content-type", b"content-transfer-encoding", b"list-unsubscribe",
    b"list-unsubscribe-post",
)  # fmt: skip
_SIGNED = (
    b"in-reply-to", b"references", b"list-id", b"list-help", b"list-subscribe", b"list-post", b"list-owner",
    b"list-archive", b"auto-submitted", b"content-id", b"content-description", b"resent-from", b"resent-to",
    b"resent-cc", b"resent-date", b"resent-message-id", b"resent-sender", b"feedback-id",
)  # fmt: skip
_KNOWN = frozenset(_ALWAYS_CLOSED + _CLOSED_IF_THERE + _SIGNED)

_FIELD = re.compile(rb"^([!-9;-~]+)[ \t]*:([^\n]*\n(?:[ \t][^\n]*\n)*)", re.MULTILINE)
_SPACES = re.compile(rb"[ \t]{2,}|\t")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_MAX_STRING = 255
_LINE = 72
CHUNK = 262_144


class KeyUnusable(ValueError):
    """Octets that are no private key of the algorithm."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A parsed private key with the names that lead to its public half: selector._domainkey.domain."""

    domain: str
    selector: str
    algorithm: Algorithm
    private: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey = field(repr=False)


# Keys


def make_private(algorithm: Algorithm, bits: int = MIN_BITS) -> bytes:
    """A new private key, PKCS #8 in DER."""
    made: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
    if algorithm == "rsa":
        made = rsa.generate_private_key(65537, bits)
    else:
        made = ed25519.Ed25519PrivateKey.generate()
    return made.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def load_key(domain: str, selector: str, algorithm: str, der: bytes) -> SigningKey:
    """Parse what `make_private` made. Raises KeyUnusable. Takes a millisecond: keep the result."""
    try:
        private = serialization.load_der_private_key(der, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise KeyUnusable(f"the key {selector} of {domain} is no private key") from None
    wanted = rsa.RSAPrivateKey if algorithm == "rsa" else ed25519.Ed25519PrivateKey
    if not isinstance(private, wanted):
        raise KeyUnusable(f"the key {selector} of {domain} is no key for {algorithm}")
    return SigningKey(domain, selector, cast(Algorithm, algorithm), private)


def public_value(key: SigningKey) -> str:
    """The `p=` of the key's record (RFC 6376 3.6.1, RFC 8463 4.2)."""
    public = key.private.public_key()
    if isinstance(public, ed25519.Ed25519PublicKey):
        octets = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    else:
        octets = public.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    return base64.b64encode(octets).decode()


def record_strings(algorithm: str, public: str) -> list[str]:
    """The TXT record's value, cut into strings of at most 255 octets (RFC 6376 3.6.2.2)."""
    value = f"v=DKIM1; k={algorithm}; p={public}"
    return [value[at : at + _MAX_STRING] for at in range(0, len(value), _MAX_STRING)]


def is_selector(text: str) -> bool:
    """Labels of a domain name, at most 63 octets together (RFC 6376 3.1)."""
    return len(text) <= 63 and all(_LABEL.fullmatch(label) for label in text.split("."))


# Which domain signs


def domains_of(head: bytes, sender: str) -> list[str]:
    """The domains whose key may sign, best first: that of From and its parents, then the envelope's.

    A parent is aligned for DMARC in its relaxed mode (RFC 7489 3.1.1), never a single label. More than
    one From field is a forger's trick (RFC 6376 8.15): then there is none.
    """
    written = [found[2] for found in _FIELD.finditer(head) if found[1].lower() == b"from"]
    if len(written) > 1:
        return []
    return list(dict.fromkeys(_and_parents(_from_domain(written)) + _and_parents(_domain(sender))))


def _from_domain(written: list[bytes]) -> str:
    for value in written:
        try:
            for _, address in parse_mailbox_header(value.replace(b"\r\n", b"").strip()):
                return address.domain
        except AddressError:
            break
    return ""


def _domain(sender: str) -> str:
    try:
        return parse_address(sender).domain if sender else ""
    except AddressError:
        return ""


def _and_parents(domain: str) -> list[str]:
    labels = domain.split(".")
    return [".".join(labels[at:]) for at in range(max(len(labels) - 1, 0))]


# The signature


def sign(head: bytes, rest: bytes, keys: Iterable[SigningKey], at: int) -> bytes:
    """The DKIM-Signature fields to put on top of `head` + `rest`, one a key. `at`: seconds since 1970.

    `head` is the header block with its line ends, `rest` begins with the empty line, or is b"".
    """
    digest = base64.b64encode(body_hash(rest))
    names, data = _chosen(head)
    return b"".join(_signature(key, names, data, digest, at) for key in keys)


def body_hash(rest: bytes, size: int = CHUNK) -> bytes:
    """SHA-256 of the body in its relaxed form (RFC 6376 3.4.4); `rest` begins with the empty line, or is b"".

    A large body is worked off in pieces of whole lines, `size` octets at least: other threads go on
    between them, and there is never a second copy of all.
    """
    made, start, n_blank, is_empty = hashlib.sha256(), 2, 0, True
    while start < len(rest):
        end = rest.find(b"\n", start + size) + 1 or len(rest)
        lines = _relaxed_lines(rest[start:end])
        text = lines.rstrip(b"\r\n")
        if text:
            # Empty lines count only if something follows.
            made.update(b"\r\n" * n_blank)
            made.update(text)
            n_blank, is_empty = 0, False
        n_blank += (len(lines) - len(text)) // 2
        start = end
    if not is_empty:
        made.update(b"\r\n")
    return made.digest()


def _relaxed_lines(lines: bytes) -> bytes:
    """Most lines need no change: what finds that out is a plain search."""
    if b"\t" in lines or b"  " in lines:
        lines = _SPACES.sub(b" ", lines)
    if b" \r\n" in lines:
        lines = lines.replace(b" \r\n", b"\r\n")
    return lines if lines.endswith(b"\r\n") else lines.rstrip(b" ") + b"\r\n"


def _relaxed_value(value: bytes) -> bytes:
    """RFC 6376 3.4.2, without the line end."""
    return _SPACES.sub(b" ", value.replace(b"\r\n", b"")).strip(b" ")


def _chosen(head: bytes) -> tuple[bytes, bytes]:
    """(value of h=, the canonical fields that it names, in its order).

    Of a field that stands there more than once the last comes first (RFC 6376 5.4.2).
    """
    there: dict[bytes, list[bytes]] = {}
    for found in _FIELD.finditer(head):
        name = found[1].lower()
        if name in _KNOWN:
            there.setdefault(name, []).append(found[2])
    names: list[bytes] = []
    lines: list[bytes] = []
    for name, values in there.items():
        for value in reversed(values):
            names.append(name)
            lines.append(name + b":" + _relaxed_value(value) + b"\r\n")
    names += _ALWAYS_CLOSED
    names += [name for name in _CLOSED_IF_THERE if name in there]
    return _folded(names), b"".join(lines)


def _folded(names: Sequence[bytes]) -> bytes:
    """Joined by colons, in lines of a sane length (white space may stand around a colon)."""
    lines, line = [], b""
    for name in names:
        if line and len(line) + len(name) > _LINE:
            lines.append(line)
            line = b""
        line += (b":" if line or lines else b"") + name
    return b"\r\n\t ".join([*lines, line])


def _signature(key: SigningKey, names: bytes, data: bytes, digest: bytes, at: int) -> bytes:
    start = b"v=1; a=%s-sha256; c=relaxed/relaxed; d=%s;\r\n\ts=%s; t=%d;\r\n\th=%s;\r\n\tbh=%s;\r\n\tb=" % (
        key.algorithm.encode("ascii"), key.domain.encode("ascii"), key.selector.encode("ascii"), at, names,
        digest,
    )  # fmt: skip
    signed = data + b"dkim-signature:" + _relaxed_value(start)
    if isinstance(key.private, rsa.RSAPrivateKey):
        octets = key.private.sign(signed, padding.PKCS1v15(), hashes.SHA256())
    else:
        octets = key.private.sign(hashlib.sha256(signed).digest())  # RFC 8463 section 3
    value = base64.b64encode(octets)
    lines = [value[n : n + _LINE] for n in range(0, len(value), _LINE)]
    return b"DKIM-Signature: " + start + b"\r\n\t ".join(lines) + b"\r\n"
