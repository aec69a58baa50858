"""`classify FILE`: what the classifier makes of SMTP replies, one a line; with --summary a report of classes.

Promises: constant memory at any length of the file, 20,000 varied replies a second or more. A line that is
no reply is told by its number, counted, and does not stop the rest.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Any

import orjson
from django.core.management.base import CommandParser
from django.db import Error as DatabaseError

from queueapp.engine import own_lines
from queueapp.mail.classify import CLASSES, Table, table
from queueapp.mail.gist import gist, shown
from queueapp.mail.reply import Reply, ReplyError
from queueapp.management.base import Command as Base
from queueapp.management.base import Failed

# RFC 5321 allows 512 octets a line; servers write more. What is longer is cut, not refused.
_MAX_LINE = 10_000
_AT_ONCE = 500
_MOST_TOLD = 20
_EXAMPLES = 3
_MOST_GISTS = 10_000


class Command(Base):
    help = "Read SMTP replies, one a line (- is stdin); write one JSON object a line with the class of each."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE")
        parser.add_argument(
            "--summary", action="store_true", help="A report of classes, with counts and examples."
        )
        parser.add_argument(
            "--host", default="", help="The MX host that gave them, for lines that hold for one."
        )
        parser.add_argument("--stage", default="", help="What they answered: rcpt, dot … Empty: not known.")
        parser.add_argument("--shipped", action="store_true", help="Without lines of your own.")

    def run(self, **options: Any) -> int | None:
        lines = Table() if options["shipped"] else self._lines()
        found = _found(options["file"], lines, options["stage"], options["host"])
        n_wrong = self._summary(found) if options["summary"] else self._each(found)
        if n_wrong > _MOST_TOLD:
            self.stderr.write(
                f"{n_wrong:,} lines are no SMTP replies; the first {_MOST_TOLD} are told above."
            )
        return 1 if n_wrong else None

    def _lines(self) -> Table:
        """With those of the administrator's own, where the database can be asked."""
        try:
            own_lines.look()
        except DatabaseError as error:
            reason = str(error).strip().partition("\n")[0][:200]
            self.stderr.write(f"The database does not answer ({reason}): judged without lines of your own.")
        return table()

    def _each(self, found: Iterator[Found]) -> int:
        n_wrong = 0
        while some := list(islice(found, _AT_ONCE)):
            for number, row, _ in some:
                if "error" in row:
                    n_wrong += 1
                    self._tell(n_wrong, number, row)
            self.stdout.write(b"\n".join(orjson.dumps(row) for _, row, _ in some).decode())
        return n_wrong

    def _tell(self, n_wrong: int, number: int, row: dict[str, Any]) -> None:
        if n_wrong <= _MOST_TOLD:
            self.stderr.write(f"Line {number}: {row['error']}")

    def _summary(self, found: Iterator[Found]) -> int:
        n_wrong, n_permanent = 0, Counter[str]()
        classes, rules, gists = Counter[str](), Counter[str](), Counter[tuple[str, str]]()
        for number, row, reply in found:
            if "error" in row:
                n_wrong += 1
                self._tell(n_wrong, number, row)
                continue
            name = row["class"]
            classes[name] += 1
            rules[row["rule"]] += 1
            n_permanent[name] += row["permanent"]
            told = (name, _told(row, reply))
            if told in gists or len(gists) < _MOST_GISTS:
                gists[told] += 1
        self._report(classes, n_permanent, gists)
        if rules:
            self.stdout.write("\nLines that decided most:")
            for rule, n in rules.most_common(10):
                self.stdout.write(f"{n:>12,}  {rule}")
        return n_wrong

    def _report(
        self, classes: Counter[str], n_permanent: Counter[str], gists: Counter[tuple[str, str]]
    ) -> None:
        total = classes.total()
        self.stdout.write(f"{total:,} {'reply' if total == 1 else 'replies'}")
        for name, n in classes.most_common():
            kind = f", {n_permanent[name]:,} permanent" if n_permanent[name] else ""
            self.stdout.write(f"\n{name}: {n:,} ({n / total:.1%}{kind}). {CLASSES[name].sentence}")
            several = ((told, n) for (of, told), n in gists.most_common() if of == name)
            for told, n_told in islice(several, _EXAMPLES):
                self.stdout.write(f"{n_told:>12,}  {told}")


Found = tuple[int, dict[str, Any], Reply | None]


def _told(row: dict[str, Any], reply: Reply | None) -> str:
    text = shown(gist(reply.text)) if reply else ""
    return " ".join(part for part in (str(row["code"]), row["enhanced"], text) if part)


def _found(name: str, lines: Table, stage: str, host: str) -> Iterator[Found]:
    """(number of the line, what is told of it, its reply); empty lines are left out."""
    for number, line in enumerate(_lines(name), 1):
        if line.strip():
            yield number, *verdict(line, lines, stage, host)


def verdict(
    line: bytes, lines: Table, stage: str = "", host: str = ""
) -> tuple[dict[str, Any], Reply | None]:
    """Class and reply of one line, or an object with `error` in its place."""
    try:
        reply = Reply.parse(line)
    except ReplyError as error:
        return {"class": None, "error": str(error)}, None
    found = lines.classify(reply, stage, host)
    row = {
        "class": found.reply_class,
        "permanent": found.is_permanent,
        "code": reply.code,
        "enhanced": reply.enhanced,
        "rule": found.rule,
        "retry_in": found.retry_in,
    }
    return row, reply


def _lines(name: str) -> Iterator[bytes]:
    try:
        with open(sys.stdin.fileno() if name == "-" else name, "rb", closefd=name != "-") as file:
            while line := file.readline(_MAX_LINE):
                yield line
                while line and not line.endswith(b"\n"):
                    line = file.readline(_MAX_LINE)
    except OSError as error:
        raise Failed(f"{name[:200]} can't be read: {error.strerror}.") from None
