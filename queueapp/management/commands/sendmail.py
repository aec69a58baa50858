"""`sendmail`: a mail on stdin into the queue, for programs that know no other way.

Exit 0 means stored. Exit codes are those of sysexits.h: 64 wrong usage, 65 bad data, 75 try later.
"""

from __future__ import annotations

import getpass
import sys
from collections.abc import Sequence
from typing import Any

from django.core.management.base import BaseCommand
from django.db import DatabaseError, InterfaceError, connections

from queueapp import conf
from queueapp.ingest import sendmail
from queueapp.ingest.accept import accept
from queueapp.ingest.submission import Refused, Submission
from queueapp.management.base import database_away

_USAGE = """usage: manage.py sendmail [-t] [-i] [-f SENDER] [-F NAME] [--] [RCPT…] < MAIL

  -t         recipients from To, Cc and Bcc too; Bcc is taken out
  -i, -oi    a line with a single dot does not end the mail
  -f SENDER  envelope sender; <> is the null sender
  -F NAME    the name in From, where the mail has no From
"""


class Command(BaseCommand):
    help = "Send the mail on stdin, like sendmail -t -i -f SENDER [RCPT…]."

    def run_from_argv(self, argv: list[str]) -> None:
        """Options as sendmail has them, which argparse can't read."""
        if argv[2:] in (["--help"], ["-h"]):
            sys.stdout.write(_USAGE)
            return
        try:
            code = run(argv[2:])
        finally:
            connections.close_all()
        raise SystemExit(code)

    def handle(self, *args: Any, **options: Any) -> None:
        raise SystemExit(run(list(args)))


def run(argv: Sequence[str]) -> int:
    """Read, check, store; the exit code."""
    try:
        submission = _submission(sendmail.parse_arguments(argv))
        accept(submission)
    except sendmail.UsageError as error:
        return _fail(sendmail.EX_USAGE, f"{error}\n{_USAGE}")
    except sendmail.DataError as error:
        return _fail(sendmail.EX_DATAERR, str(error))
    except Refused as refused:
        code = sendmail.EX_TEMPFAIL if refused.code < 500 else sendmail.EX_DATAERR
        return _fail(code, f"Refused: {refused.code} {refused.enhanced} {refused.text}")
    except (DatabaseError, InterfaceError) as error:
        return _fail(sendmail.EX_TEMPFAIL, database_away(error))
    except OSError as error:
        return _fail(sendmail.EX_NOINPUT, f"stdin can't be read: {error.strerror}.")
    return sendmail.EX_OK


def _submission(call: sendmail.Call) -> Submission:
    current = conf.current()
    user = _user()
    sender = sendmail.envelope_sender(call, f"{user}@{current.host}")
    raw = sendmail.read_mail(sys.stdin.buffer, dot_ends=call.dot_ends, limit=current.max_size)
    recipients, content = sendmail.prepare(call, raw, sender or f"{user}@{current.host}", current.host)
    return Submission(
        sender=sender,
        recipients=tuple(recipients),
        content=content,
        source="sendmail",
        protocol="local",
        login=user,
    )


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "nobody"


def _fail(code: int, text: str) -> int:
    sys.stderr.write(text.rstrip() + "\n")
    return code
