"""`alerts rule-try|rule-add|rule-on|rule-off|rule-remove`: rules that count what a search selects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandParser

from queueapp.access import alert_rows, alert_rule_trial, alert_rules
from queueapp.grammar import GrammarError
from queueapp.management.access_command import actor
from queueapp.management.alerts.asked import a_span
from queueapp.management.base import WrongUsage
from queueapp.management.mistakes import explained
from queueapp.models import Severity

VERBS = {
    "rule-try": "whether more than so many match a search now; tells nobody",
    "rule-add": "tell when more than so many match a search",
    "rule-on": "look at a rule again",
    "rule-off": "look at it no more",
    "rule-remove": "remove one of your own",
}
Tell = Callable[[dict[str, Any], str], None]
"""Takes what --json writes, and the words otherwise."""


def add_arguments(verb: CommandParser, name: str) -> None:
    if name == "rule-add":
        verb.add_argument("name", metavar="NAME")
    if name in ("rule-try", "rule-add"):
        verb.add_argument("--query", required=True, metavar="QUERY", help="the search grammar")
        verb.add_argument("--above", required=True, type=int, metavar="N", help="more than so many match")
    else:
        verb.add_argument("rule", type=int, metavar="ID")
    if name == "rule-add":
        verb.add_argument("--for", default="5m", metavar="SPAN", help="so long before people are told")
        verb.add_argument("--clear", default="5m", metavar="SPAN", help="so long before it is over")
        verb.add_argument("--remind", default="0", metavar="SPAN", help="again every so often")
        verb.add_argument("--severity", default="warning", help=f"one of {', '.join(Severity.values)}")
        verb.add_argument("--about", default="", metavar="TEXT", help="what to do; it stands in the mail")
        verb.add_argument("--to", action="append", default=[], metavar="ADDRESS", help="whom to tell")


def act(options: dict[str, Any], tell: Tell) -> None:
    """Raises AccessError, WrongUsage."""
    try:
        _ACTS[options["verb"]](options, tell)
    except GrammarError as error:
        raise WrongUsage(explained(options["query"], error)) from None


def _try(options: dict[str, Any], tell: Tell) -> None:
    found = alert_rule_trial.tried(actor(), _what(options))
    more = "more than " if found.is_cut else ""
    words = f"{more}{found.n:,} match" if found.n is not None else found.why
    verdict = {True: "It would hold now", False: "It would not hold now", None: "Not known"}[found.holds]
    row = asdict(found)
    tell({name: row[name] for name in ("holds", "n", "is_cut", "why")}, f"{verdict}: {words}")


def _add(options: dict[str, Any], tell: Tell) -> None:
    row = alert_rules.add(
        actor(), **_what(options), name=options["name"], severity=options["severity"],
        about=options["about"], holds_for=a_span("--for", options["for"]),
        clear_for=a_span("--clear", options["clear"]),
        remind_every=a_span("--remind", options["remind"]) or None, recipients=options["to"],
    )  # fmt: skip
    tell(alert_rows.rule(row), f"Rule {row.pk}: {row.name}. It counts from the watch's next look.")


def _what(options: dict[str, Any]) -> dict[str, Any]:
    return {"condition": "search", "query": options["query"], "threshold": options["above"]}


def _switch(options: dict[str, Any], tell: Tell) -> None:
    is_on = options["verb"] == "rule-on"
    row = alert_rules.change(actor(), options["rule"], is_enabled=is_on)
    tell(alert_rows.rule(row), f"{row.name} is {'on' if is_on else 'off'}.")


def _remove(options: dict[str, Any], tell: Tell) -> None:
    alert_rules.remove(actor(), options["rule"])
    tell({"removed": options["rule"]}, "Removed; what it raised is over at the watch's next look.")


_ACTS = {
    "rule-try": _try, "rule-add": _add, "rule-on": _switch, "rule-off": _switch, "rule-remove": _remove,
}  # fmt: skip
