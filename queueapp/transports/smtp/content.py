"""The bytes of a message as SMTP carries them (RFC 5321 section 4.5.2).

Promises: lines end in CRLF, no line but the last is a lone dot, and a bare CR or LF is never sent,
since servers disagree on what it ends (SMTP smuggling). Copies only what needs a change.
"""

from __future__ import annotations

from queueapp.mail.summary import to_crlf

END = b".\r\n"


def stuffed(content: bytes) -> bytes:
    """`content` with its dots doubled at line starts, and ended by the final dot."""
    if content:
        content = to_crlf(content)
    if b"\r\n." in content:
        content = content.replace(b"\r\n.", b"\r\n..")
    start = b"." if content.startswith(b".") else b""
    return b"".join((start, content, END))
