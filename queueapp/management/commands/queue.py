"""`queue list|count|retry|hold|… [QUERY]`: the queue in a terminal, by the search grammar."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.core.management.base import CommandParser
from django.db.models import QuerySet
from django.utils import timezone

from queueapp.grammar import GrammarError, parse
from queueapp.management import acting, once_more
from queueapp.management.base import Command as Base
from queueapp.management.base import WrongUsage
from queueapp.management.columns import columns, printable
from queueapp.management.mistakes import explained
from queueapp.models import Delivery
from queueapp.models.counting import count
from queueapp.models.matching import condition_of

_HEADINGS = ("ID", "STATE", "AGE", "NEXT", "TRIES", "FROM", "TO", "LAST REPLY")
_DEFAULT_LIMIT = 50
_COUNT_CAP = 10_000
_VALUED = ("--limit", "--reason", "--route", "--to", "--settings", "--pythonpath", "--verbosity")


class Command(Base):
    help = "List, count or change deliveries: queue list 'state:deferred domain:example.com age>2h'."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(
            dest="verb", required=True, metavar="list|count|" + "|".join([*acting.VERBS, *once_more.VERBS])
        )
        listing = verbs.add_parser("list", help="the newest that match")
        listing.add_argument("--limit", type=int, default=_DEFAULT_LIMIT, help="rows; 0 is all (default 50)")
        counting = verbs.add_parser("count", help="how many match, exactly")
        for verb in (listing, counting):
            verb.add_argument("query", nargs="*", metavar="QUERY", help="the search grammar; none is all")
            verb.add_argument("--json", action="store_true", help="for programs: all fields, a line a row")
        for name, (text, _) in acting.VERBS.items():
            self._add_verb(verbs.add_parser(name, help=text), name)
        for name, text in once_more.VERBS.items():
            once_more.add_arguments(verbs.add_parser(name, help=text), name)

    def _add_verb(self, verb: CommandParser, name: str) -> None:
        if name == "undo":
            verb.add_argument("operation", type=int, help="its number")
        elif name == "priority":
            verb.add_argument("priority", type=int, help="0 to 9; 9 is sent first")
        elif name == "reroute":
            verb.add_argument(
                "--route", required=True, metavar="NAME", help="its name; default: as their domains go"
            )
        if name != "undo":
            verb.add_argument("query", nargs="*", metavar="QUERY", help="the search grammar; none is all")
            verb.add_argument("--reason", default="", help="for the audit; a hold shows it")
        verb.add_argument("--yes", action="store_true", help="do not ask")
        verb.add_argument("--json", action="store_true", help="for programs: the result as one object")

    def run_from_argv(self, argv: list[str]) -> None:
        super().run_from_argv([*argv[:3], *options_first(argv[3:])])

    def run(self, **options: Any) -> int | None:
        if options["verb"] == "undo":
            return acting.undo(options["operation"], options, self.stdout.write, self.stderr.write)
        if options["verb"] in once_more.VERBS:
            return once_more.act(options, self.stdout.write)
        text = " ".join(options["query"])
        if options["verb"] in acting.VERBS:
            try:
                return acting.act(options["verb"], text, options, self.stdout.write, self.stderr.write)
            except GrammarError as error:
                raise WrongUsage(explained(text, error)) from None
        now = timezone.now()
        try:
            search = parse(text)
            rows = Delivery.objects.filter(condition_of(search, now))
        except GrammarError as error:
            raise WrongUsage(explained(text, error)) from None
        if options["verb"] == "count":
            n, _ = count(search, now)
            self.stdout.write(json.dumps({"count": n}) if options["json"] else str(n))
            return None
        if options["limit"] < 0:
            raise WrongUsage(f"--limit {options['limit']} is not allowed: 0 (all) or more.")
        rows = rows.select_related("message", "domain").order_by("-id")
        limited = rows[: options["limit"]] if options["limit"] else rows
        if options["json"]:
            for row in limited.iterator(chunk_size=1000):
                self.stdout.write(json.dumps(as_json(row), default=str, ensure_ascii=False))
            return None
        n, is_exact = count(search, now, _COUNT_CAP)
        self._table(limited, n, is_exact, now)
        return None

    def _table(self, rows: QuerySet[Delivery], n: int, is_exact: bool, now: datetime) -> None:
        cells = list(_cells(rows, now))
        if not cells:
            self.stdout.write("Nothing matches." if n == 0 else "Nothing is left of it.")
            return
        self.stdout.write(columns(_HEADINGS, cells, numbers=("ID", "AGE", "NEXT", "TRIES")))
        if len(cells) < n:
            told = f"{n}" if is_exact else f"more than {n}"
            self.stderr.write(f"{len(cells)} of {told} shown; --limit 0 shows all.")


def options_first(words: list[str]) -> list[str]:
    """argparse takes `-state:sent` for an option, and words behind an option for too many: sort them."""
    found: list[str] = []
    query: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "--":
            query += rest
            break
        if word.startswith("--") or word == "-h":
            found.append(word)
            if word in _VALUED and rest:
                found.append(rest.pop(0))
        else:
            query.append(word)
    return [*found, "--", *query] if query else found


def _cells(rows: QuerySet[Delivery], now: datetime) -> Iterator[tuple[object, ...]]:
    for row in rows.iterator(chunk_size=1000):
        yield (
            row.pk,
            row.state,
            _span((now - row.accepted_at).total_seconds()),
            _span((row.next_attempt_at - now).total_seconds()) if row.next_attempt_at else "-",
            row.n_attempts,
            row.message.sender or "<>",
            row.recipient,
            row.last_reply or row.hold_reason or "-",
        )


def _span(seconds: float) -> str:
    """Two digits and a unit are enough to judge by: 45s, 12m, 5h, 3d."""
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if abs(seconds) >= 2 * size:
            return f"{int(seconds / size)}{unit}"
    return f"{int(seconds)}s" if seconds > 0 else "due" if seconds < -1 else "0s"


def as_json(row: Delivery) -> dict[str, Any]:
    """All fields of the row, and what a reader needs of its message."""
    fields = {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}
    message = row.message
    return {
        **fields,
        "domain": row.domain.name,
        "sender": message.sender,
        "subject": printable(message.subject),
        "message_id_header": message.message_id,
        "size": message.size,
        "source": message.source,
        "tags": message.tags,
    }
