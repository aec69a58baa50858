"""`alerts [list|show|ack|silences|silence|unsilence|rules|rule-…|test]`: alerts in a terminal."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from django.core.management.base import CommandParser
from django.core.serializers.json import DjangoJSONEncoder
from django.utils import timezone

from queueapp.access import alert_groups, alert_rows, alert_trials
from queueapp.access import alerts as access
from queueapp.access.change import AccessError, Wrong, known
from queueapp.management.access_command import actor
from queueapp.management.alerts import asked, listed, ruling
from queueapp.management.base import Command as Base
from queueapp.management.base import Failed, WrongUsage
from queueapp.models import Alert, AlertRule, AlertScope, Notice, Severity, Silence
from queueapp.watch import pulse
from queueapp.watch.alerts.conditions import BY_NAME

_MOST = 10_000
_VERBS = ("list", "show", "ack", "silences", "silence", "unsilence", "rules", *ruling.VERBS, "test")


class Command(Base):
    help = "Show alerts, acknowledge and silence them, list their rules, and send a test."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="|".join(_VERBS))
        listing = verbs.add_parser("list", help="what holds, the worst first; the default")
        listing.add_argument("--over", action="store_true", help="what was, the last first")
        listing.add_argument("--limit", type=int, default=100, help="at most so many (default 100)")
        show = verbs.add_parser("show", help="one with its causes, and who was told")
        show.add_argument("alert", type=int, metavar="ID")
        ack = verbs.add_parser("ack", help="you look after it: its reminders stop")
        ack.add_argument("alert", type=int, metavar="ID")
        ack.add_argument("--group", action="store_true", help="all that it is told with")
        ack.add_argument("--note", default="", metavar="TEXT", help="what you do about it")
        verbs.add_parser("silences", help="those in force").add_argument(
            "--over", action="store_true", help="those that are over, too"
        )
        _add_silence(verbs.add_parser("silence", help="tell nobody of what it covers, until it ends"))
        lift = verbs.add_parser("unsilence", help="end a silence now")
        lift.add_argument("silence", type=int, metavar="ID")
        verbs.add_parser("rules", help="what is watched")
        for name, text in ruling.VERBS.items():
            ruling.add_arguments(verbs.add_parser(name, help=text), name)
        test = verbs.add_parser("test", help="send a test now, and show what was said")
        test.add_argument("to", nargs="?", default="", help="an address, or a webhook as the page names it")
        test.add_argument("--channel", default="email", help=f"one of {', '.join(alert_trials.CHANNELS)}")
        for verb in verbs.choices.values():
            verb.add_argument("--json", action="store_true", help="for programs: the fields of the API")

    def run_from_argv(self, argv: list[str]) -> None:
        is_bare = len(argv) == 2 or (argv[2].startswith("-") and argv[2] not in ("-h", "--help"))
        super().run_from_argv([*argv[:2], "list", *argv[2:]] if is_bare else argv)

    def run(self, **options: Any) -> int | None:
        try:
            if options["verb"] in ruling.VERBS:
                ruling.act(options, partial(self._tell, options["json"]))
                return None
            code: int | None = getattr(self, f"_{options['verb']}")(options)
        except Wrong as error:
            raise WrongUsage(str(error)) from None
        except AccessError as error:
            raise Failed(str(error)) from None
        return code

    def _list(self, options: dict[str, Any]) -> None:
        if not 0 < options["limit"] <= _MOST:
            raise WrongUsage(f"--limit {options['limit']} is not allowed: from 1 to {_MOST}.")
        rows = Alert.objects.over() if options["over"] else Alert.objects.open()
        found = list(rows[: options["limit"]])
        if pulse.is_silent(timezone.now()):
            self.stderr.write("Nobody looks: the part `watch` does not run, so this may be old.")
        self._rows(options, [alert_rows.alert(row) for row in found], lambda: listed.alerts(found))

    def _show(self, options: dict[str, Any]) -> None:
        row = self._alert(options["alert"])
        if options["json"]:
            self._json(alert_rows.alert_in_full(row))
            return
        said = Notice.objects.filter(group=row.group).order_by("pk")[:50] if row.group else ()
        self.stdout.write(listed.one(row, said, timezone.now()))

    def _ack(self, options: dict[str, Any]) -> None:
        row = self._alert(options["alert"])
        n = 1
        if options["group"] and row.group_id:
            n = alert_groups.acknowledge(actor(), row.group_id, options["note"])
        else:
            access.acknowledge(actor(), row.pk, options["note"])
        if options["json"]:
            self._json({"n": n, "alert": alert_rows.alert(self._alert(row.pk))})
        else:
            self.stdout.write(f"Acknowledged {n}. Reminders stop; it is told when it is over.")

    def _silences(self, options: dict[str, Any]) -> None:
        rows = Silence.objects.select_related("rule").order_by("-until", "-pk")
        if not options["over"]:
            rows = rows.filter(until__gt=timezone.now(), lifted_at=None)
        found = list(rows[:500])
        self._rows(options, [alert_rows.silence(row) for row in found], lambda: listed.silences(found))

    def _silence(self, options: dict[str, Any]) -> None:
        values = asked.silence(options)
        if options["preview"]:
            self._preview(options, access.drafted(**values))
            return
        made = access.silence(actor(), **values)
        if options["json"]:
            self._json(alert_rows.silence(made))
        else:
            self.stdout.write(
                f"Silence {made.pk}: {listed.covers(made)}, until {made.until:%Y-%m-%d %H:%M} UTC. "
                f"End it with: manage.py alerts unsilence {made.pk}"
            )

    def _preview(self, options: dict[str, Any], draft: Silence) -> None:
        n, found = access.covered(draft)
        if options["json"]:
            self._json({"n": n, "alerts": [alert_rows.alert(row) for row in found]})
            return
        self.stdout.write(f"It would cover {n} of what holds now, and what is like it to come.")
        if found:
            self.stdout.write(listed.alerts(found))

    def _unsilence(self, options: dict[str, Any]) -> None:
        row = access.lift(actor(), options["silence"])
        if options["json"]:
            self._json(alert_rows.silence(row))
        else:
            self.stdout.write(f"Silence {row.pk} is over: what holds and was not told of is told now.")

    def _rules(self, options: dict[str, Any]) -> None:
        found = list(AlertRule.objects.all()[:500])
        units = {name: condition.unit for name, condition in BY_NAME.items()}
        self._rows(options, [alert_rows.rule(row) for row in found], lambda: listed.rules(found, units))

    def _test(self, options: dict[str, Any]) -> int:
        row = alert_trials.send(actor(), options["channel"], options["to"])
        if options["json"]:
            self._json(alert_rows.notice(row))
        else:
            self.stdout.write(listed.notice(row))
        return 0 if row.state == "sent" else 1

    def _alert(self, pk: int) -> Alert:
        row = Alert.objects.select_related("group", "rule").filter(pk=known(pk)).first()
        if row is None:
            raise Failed(f"There is no alert {pk}. manage.py alerts list --over shows those that are over.")
        return row

    def _rows(self, options: dict[str, Any], rows: list[dict[str, Any]], table: Any) -> None:
        if options["json"]:
            for row in rows:
                self._json(row)
        elif rows:
            self.stdout.write(table())
        else:
            self.stderr.write(_NONE[options["verb"]])

    def _tell(self, as_json: bool, row: dict[str, Any], words: str) -> None:
        self._json(row) if as_json else self.stdout.write(words)

    def _json(self, row: dict[str, Any]) -> None:
        self.stdout.write(json.dumps(row, cls=DjangoJSONEncoder, ensure_ascii=False))


_NONE = {
    "list": "Nothing is wrong.",
    "silences": "No silence is in force. Make one with: manage.py alerts silence --for 2h --only NAME …",
    "rules": "There is none yet: the part `watch` writes those that come with Mailweir when it first runs.",
}


def _add_silence(verb: CommandParser) -> None:
    verb.add_argument("--reason", required=True, metavar="TEXT", help="people will ask why it was quiet")
    verb.add_argument("--for", metavar="SPAN", help="how long, such as 30m, 2h, 1d")
    verb.add_argument("--until", metavar="TIME", help="or until when, such as 2027-01-31T18:00 (UTC)")
    verb.add_argument("--rule", type=int, metavar="ID", help="only what this rule told")
    verb.add_argument("--severity", default="", help=f"only one of {', '.join(Severity.values)}")
    verb.add_argument("--scope", default="", help=f"only one of {', '.join(AlertScope.values)}")
    verb.add_argument("--only", default="", metavar="NAME", help="only of this thing; with * for anything")
    verb.add_argument("--all", action="store_true", help="every alert, also those to come")
    verb.add_argument("--preview", action="store_true", help="show what it would cover, and make none")
