"""Calls a command in this process as `manage.py` does, so that it sees the test's transaction."""

from __future__ import annotations

import io
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from unittest.mock import patch

from django.core.management import ManagementUtility
from django.db import connection


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


class _Stdin:
    def __init__(self, content: bytes) -> None:
        self.buffer = io.BytesIO(content)

    def isatty(self) -> bool:
        return False


def manage(*arguments: str, stdin: bytes = b"") -> Done:
    """The exit code and what was written."""
    out, err = io.StringIO(), io.StringIO()
    code: object = 0
    # A command closes its connections when it ends; here they are the test's.
    with redirect_stdout(out), redirect_stderr(err), patch.object(connection, "close", lambda: None):
        before, sys.stdin = sys.stdin, _Stdin(stdin)  # type: ignore[assignment]
        try:
            ManagementUtility(["manage.py", *arguments]).execute()
        except SystemExit as exit_:
            code = exit_.code
        finally:
            sys.stdin = before
    return Done(int(code or 0), out.getvalue(), err.getvalue())  # type: ignore[call-overload]
