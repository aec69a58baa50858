"""What it takes in, and what is kept of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from queueapp.conf.setting import setting
from queueapp.conf.texts import one_of, path, size, whole


@dataclass(frozen=True)
class Intake:
    max_size: int = setting(
        "MAILWEIR_MAX_SIZE", size, "50MB", "bytes", "The largest message that is accepted."
    )
    max_recipients: int = setting(
        "MAILWEIR_MAX_RECIPIENTS",
        whole(1, 100000),
        "1000",
        "recipients",
        "The most recipients of one message.",
    )
    smtp_login: str = setting(
        "MAILWEIR_SMTP_LOGIN",
        one_of("remote", "always"),
        "remote",
        "remote|always",
        "Who must log in to submit: all but loopback, or everybody.",
    )
    smtp_cert: Path | None = setting(
        "MAILWEIR_SMTP_CERT",
        path,
        "",
        "file",
        "PEM certificate chain of the submission server; enables STARTTLS.",
    )
    smtp_key: Path | None = setting(
        "MAILWEIR_SMTP_KEY",
        path,
        "",
        "file",
        "PEM key of that certificate; empty is the certificate's own file.",
    )
    transcripts: str = setting(
        "MAILWEIR_TRANSCRIPTS",
        one_of("off", "failed", "all"),
        "failed",
        "off|failed|all",
        "Which attempts keep what was said by SMTP: none, those that did not deliver, or all.",
    )
    sandbox_keep: int = setting(
        "MAILWEIR_SANDBOX_KEEP", whole(1, 100000), "2000", "mails", "How many mails the sandbox keeps whole."
    )
