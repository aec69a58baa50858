"""`classify FILE`: what the classifier makes of SMTP replies, one a line."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

from django.core.management.base import CommandParser

from queueapp.mail.classify import classify
from queueapp.mail.reply import Reply, ReplyError
from queueapp.management.base import Command as Base
from queueapp.management.base import Failed

# RFC 5321 allows 512 octets a line; servers write more. What is longer is cut, not refused.
_MAX_LINE = 10_000


class Command(Base):
    help = "Read SMTP replies, one a line (- is stdin); write one JSON object a line with the class of each."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE")

    def run(self, **options: Any) -> int | None:
        n_wrong = 0
        for number, line in enumerate(_lines(options["file"]), 1):
            if not line.strip():
                continue
            found = verdict(line)
            if "error" in found:
                n_wrong += 1
                self.stderr.write(f"Line {number}: {found['error']}")
            self.stdout.write(json.dumps(found, ensure_ascii=False))
        return 1 if n_wrong else None


def verdict(line: bytes) -> dict[str, Any]:
    """Class and reply of one line, or an object with `error` in its place."""
    try:
        reply = Reply.parse(line)
    except ReplyError as error:
        return {"class": None, "error": str(error)}
    found = classify(reply)
    return {
        "class": found.reply_class,
        "permanent": found.is_permanent,
        "code": reply.code,
        "enhanced": reply.enhanced,
        "rule": found.rule,
        "retry_in": found.retry_in,
    }


def _lines(name: str) -> Iterator[bytes]:
    try:
        with open(sys.stdin.fileno() if name == "-" else name, "rb", closefd=name != "-") as file:
            while line := file.readline(_MAX_LINE):
                yield line
                while line and not line.endswith(b"\n"):
                    line = file.readline(_MAX_LINE)
    except OSError as error:
        raise Failed(f"{name[:200]} can't be read: {error.strerror}.") from None
