"""What the engine and every transport say to each other: endpoint, options, envelope, outcome.

Promises: plain frozen values, no behaviour that does I/O, nothing that knows a row or a setting.
An `Outcome` never holds a credential, and its text is bounded and free of control characters.
Failure: a session that can't be opened raises `SessionFailed`, which carries the outcome that
every delivery waiting for that session gets.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from queueapp.mail.reply import MAX_TEXT, clean

Result = Literal["delivered", "deferred", "bounced"]
TlsMode = Literal["none", "opportunistic", "required", "implicit"]
Transcripts = Literal["off", "failed", "all"]
Stage = Literal["", "connect", "greeting", "ehlo", "starttls", "auth", "mail", "rcpt", "data", "dot"]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to connect. `addresses`: IPs to try in order; empty means: ask the system for `host`."""

    host: str
    port: int
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds (RFC 5321 section 4.5.3.2). EHLO, STARTTLS and AUTH wait as long as the greeting."""

    connect: float = 30
    greeting: float = 300
    mail: float = 300
    rcpt: float = 300
    data_start: float = 120
    data_block: float = 180
    data_end: float = 600
    quit: float = 5


@dataclass(frozen=True, slots=True)
class Options:
    """How to talk. `verify` asks for a trusted certificate with the host's name; `cafile` adds roots.

    `needs_requiretls`: only with a server that offers REQUIRETLS over TLS (RFC 8689).
    `transcripts`: which outcomes get one: none, those of mail that was not delivered, all.
    """

    ehlo_name: str
    source_address: str | None = None
    tls: TlsMode = "opportunistic"
    verify: bool = False
    cafile: str | None = None
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    timeouts: Timeouts = Timeouts()
    needs_requiretls: bool = False
    transcripts: Transcripts = "failed"


@dataclass(frozen=True, slots=True)
class Envelope:
    """One message for one session. `sender` "" is the null sender; `content` is CRLF, not dot-stuffed.

    `requires_tls`: REQUIRETLS was asked for (RFC 8689). A mail with a sender is then refused where it
    can't be passed on; one without (a report) is sent all the same, as section 5 wants it.
    """

    sender: str
    recipients: tuple[str, ...]
    content: bytes = field(repr=False)
    needs_utf8: bool = False
    is_8bit: bool = False
    requires_tls: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one try gave for one recipient. `is_ambiguous`: the dot was sent, its reply never read.

    `transcript`: what was said, where it was asked for (transports/smtp/transcript.py).
    """

    result: Result
    reply_class: str
    code: int | None = None
    enhanced: str = ""
    text: str = ""
    host: str = ""
    address: str = ""
    source: str = ""
    tls: str = ""
    rule: str = ""
    retry_in: int | None = None
    is_ambiguous: bool = False
    stage: Stage = ""
    transcript: str = field(default="", compare=False, repr=False)

    @property
    def reply(self) -> str:
        """Code, enhanced code and text in one line, as the receiver said it."""
        return " ".join(part for part in (str(self.code or ""), self.enhanced, self.text) if part)

    def at(self, **where: str) -> Outcome:
        """The same outcome with host, address, source or tls filled in."""
        return replace(self, **where)  # type: ignore[arg-type]


class SessionFailed(Exception):
    """No session came about; `outcome` is what each delivery that waited for it gets."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(f"{outcome.reply_class} at {outcome.stage or 'start'}: {outcome.text}")
        self.outcome = outcome


def deferred(reply_class: str, text: str, stage: Stage, *, enhanced: str = "", rule: str = "") -> Outcome:
    """Our own finding, not a reply: try again later."""
    return Outcome("deferred", reply_class, None, enhanced, clean(text, MAX_TEXT), stage=stage, rule=rule)


def bounced(reply_class: str, text: str, stage: Stage, *, enhanced: str = "", rule: str = "") -> Outcome:
    """Our own finding, not a reply: trying again would not help."""
    return Outcome("bounced", reply_class, None, enhanced, clean(text, MAX_TEXT), stage=stage, rule=rule)
