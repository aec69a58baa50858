"""Plausible mails: plain, HTML, with an attachment, in several languages, from 1 KB to half a MB.

The bodies are made once and only the headers are new for each mail, so that the demo's own work
doesn't hold the rate down.
"""

from __future__ import annotations

import base64
import random
from email.header import Header
from email.utils import formatdate
from functools import cache

SUBJECTS = (
    "Your order {n} is on its way",
    "Invoice {n} for November",
    "Reminder: appointment on the {d}th",
    "Ihre Bestellung {n} \u2013 \u00c4nderung der Lieferadresse",
    "Votre facture n\u00b0 {n} est disponible",
    "Weekly news: what is new in aisle {d}",
    "[ops] disk at {d} % on node-{n}",
    "Re: Question about the contract {n}",
    "Password changed",
    "\u3054\u6ce8\u6587 {n} \u306e\u3054\u78ba\u8a8d",
)
_LINE = "The quick weir holds the water back and lets it through at a measured rate.\r\n"
# Kind, share, size in octets.
_KINDS = (("plain", 50, 900), ("plain", 15, 12_000), ("html", 25, 6_000), ("attachment", 9, 45_000),
          ("attachment", 1, 500_000))  # fmt: skip


@cache
def _body(kind: str, size: int) -> bytes:
    """Headers of the content and the content itself."""
    text = "Hello,\r\n\r\n" + _LINE * max(1, size // len(_LINE)) + "\r\nYours, Mailweir demo\r\n"
    if kind == "plain":
        return f"Content-Type: text/plain; charset=utf-8\r\n\r\n{text}".encode()
    if kind == "html":
        html = "<!doctype html><title>News</title><h1>News</h1>" + f"<p>{_LINE.strip()}</p>\r\n" * (
            size // 90
        )
        return _parts("alternative", ("text/plain; charset=utf-8", "", text[:400]), ("text/html", "", html))
    data = base64.encodebytes(random.Random(size).randbytes(size * 3 // 4)).decode().replace("\n", "\r\n")  # noqa: S311
    what = 'application/pdf\r\nContent-Disposition: attachment; filename="invoice.pdf"'
    return _parts("mixed", ("text/plain; charset=utf-8", "", text[:400]), (what, "base64", data))


def _parts(kind: str, *parts: tuple[str, str, str]) -> bytes:
    mark = "=_mailweir-demo-part"
    lines = [f'Content-Type: multipart/{kind}; boundary="{mark}"\r\n\r\n']
    for content_type, encoding, content in parts:
        coded = f"Content-Transfer-Encoding: {encoding}\r\n" if encoding else ""
        lines.append(f"--{mark}\r\nContent-Type: {content_type}\r\n{coded}\r\n{content}\r\n")
    return ("".join(lines) + f"--{mark}--\r\n").encode()


def letter(chance: random.Random, *, name: str, sender: str, to: str, message_id: str) -> bytes:
    """One mail with CRLF line ends."""
    kind, _, size = chance.choices(_KINDS, [share for _, share, _ in _KINDS])[0]
    subject = chance.choice(SUBJECTS).format(n=chance.randint(1000, 99999), d=chance.randint(2, 28))
    coded = Header(subject, None if subject.isascii() else "utf-8").encode(linesep="\r\n")
    head = (
        f"From: {name} <{sender}>\r\nTo: {to}\r\nSubject: {coded}\r\n"
        f"Date: {formatdate(usegmt=True)}\r\nMessage-ID: {message_id}\r\nMIME-Version: 1.0\r\n"
    )
    if "newsletter" in sender:
        head += f"List-Unsubscribe: <mailto:unsubscribe@{sender.partition('@')[2]}>\r\n"
    return head.encode() + _body(kind, size)
