"""One SMTP reply as a value: code, enhanced status code, text.

For everyone who reads what a server said: the SMTP client, the log readers of other queues, the
`classify` command. Promises: the text is one line of at most 1,000 printable characters, whatever
bytes came in, so it may be stored and shown (escaped) anywhere. Never guesses a code: what does
not begin with one is a ReplyError. RFC 5321 section 4.2, RFC 2034, RFC 3463.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_TEXT = 1_000
MAX_INPUT = 20_000

_LINE = re.compile(r"([2-5][0-9]{2})(?:([ \t-])(.*))?$", re.DOTALL)
_ENHANCED = re.compile(r"#?([245]\.[0-9]{1,3}\.[0-9]{1,3})(?![0-9.])[:;,]?[ \t]*")
# qmail and its kin put the status at the end of the text: "no mailbox here (#5.1.1)"
_HASHED = re.compile(r"#([245]\.[0-9]{1,3}\.[0-9]{1,3})(?![0-9.])")
_BREAK = re.compile(r"\r\n|\r|\n")


class ReplyError(ValueError):
    """The text is not an SMTP reply."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply of a server. `enhanced` is "" when there was none; `text` holds neither code."""

    code: int
    enhanced: str
    text: str

    @classmethod
    def parse(cls, line_or_text: str | bytes) -> Reply:
        """Read a reply of one or more lines (also several lines that a log joined into one)."""
        raw = line_or_text[:MAX_INPUT]
        whole = (_decode(raw) if isinstance(raw, bytes) else raw).strip()
        lines = _BREAK.split(whole)
        last = _LINE.match(lines[-1].strip()) or _LINE.match(lines[0].strip())
        if last is None:
            raise ReplyError(
                f"{clean(whole, 60)!r} is not an SMTP reply: it must begin with a code of 200 to 599"
            )
        code, enhanced, texts = last.group(1), "", []
        for line in lines:
            text = _without_code(line.strip(), code)
            found = _ENHANCED.match(text)
            if found:
                enhanced, text = found.group(1), text[found.end() :]
            texts.append(_without_repeats(text, code, enhanced) if "-" in line[:4] else text)
        text = " ".join(filter(None, texts))
        if not enhanced and (hashed := _HASHED.search(text, 0, MAX_TEXT)):
            enhanced = hashed.group(1)
        return cls(int(code), enhanced, clean(text, MAX_TEXT))

    @property
    def is_positive(self) -> bool:
        return self.code < 400

    @property
    def is_temporary(self) -> bool:
        return 400 <= self.code < 500

    @property
    def is_permanent(self) -> bool:
        return self.code >= 500

    def __str__(self) -> str:
        return " ".join(filter(None, (str(self.code), self.enhanced, self.text)))


def clean(text: str, limit: int) -> str:
    """One line of printable characters: white space becomes a space, anything unprintable U+FFFD.

    Takes out what could break a line, a terminal, a database or the reading direction.
    """
    text = text[:limit]
    if text.isprintable():
        return text.strip()
    return "".join(c if c.isprintable() else " " if c.isspace() else "\ufffd" for c in text).strip()


def _decode(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _without_code(line: str, code: str) -> str:
    found = _LINE.match(line)
    return (found.group(3) or "").strip() if found and found.group(1) == code else line


def _without_repeats(text: str, code: str, enhanced: str) -> str:
    """Logs join the lines of one reply: take out the codes that began each of them."""
    for separator in "-", " ":
        text = text.replace(f" {code}{separator}{enhanced} " if enhanced else f" {code}{separator}", " ")
    return text
