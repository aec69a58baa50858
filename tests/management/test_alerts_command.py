"""`manage.py alerts`: what it shows, what it does, each refusal, and the audit row of each change."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from queueapp import conf
from queueapp.models import Alert, AlertRule, AuditEvent, Notice, RecipientDomain, Silence
from queueapp.watch import pulse
from tests.dashboard.alerts import a_group, a_notice, a_rule, a_silence, an_alert, an_old_alert
from tests.dashboard.rows import now
from tests.management.calls import manage
from tests.watch.mailbox import Mailbox

pytestmark = pytest.mark.django_db
DETAIL = {
    "causes": [["The receiver is slow", 1204]], "sites": [["mx.example", 900]], "reply": "421 \x1b[2Jlater",
    "advice": "Lower the rate.", "query": "state:deferred",
}  # fmt: skip


def rows(*arguments: str) -> list[dict[str, Any]]:
    done = manage("alerts", *arguments, "--json")
    assert done.code == 0, done.err
    return [json.loads(line) for line in done.out.splitlines()]


@pytest.mark.once
def test_where_nothing_is_wrong_it_says_so_and_whether_somebody_looks() -> None:
    done = manage("alerts")
    assert (done.code, done.out) == (0, "")
    assert "Nobody looks" in done.err
    pulse.beat()
    assert manage("alerts", "list").err == "Nothing is wrong.\n"
    assert "No silence is in force" in manage("alerts", "silences").err
    assert "There is none yet" in manage("alerts", "rules").err


def test_it_lists_the_worst_first_and_what_was() -> None:
    an_alert("Mail is late", severity="warning")
    an_alert("Nothing is delivered")
    an_alert("Not yet", state="pending", fired_at=None)
    an_old_alert()
    assert [row["title"] for row in rows()] == ["Nothing is delivered", "Mail is late"]
    assert [row["title"] for row in rows("list", "--limit", "1")] == ["Nothing is delivered"]
    assert [row["title"] for row in rows("list", "--over")] == ["It was late"]
    out = manage("alerts").out
    assert out.splitlines()[0].split() == ["ID", "SEVERITY", "STATE", "SINCE", "ON", "WHAT"]
    assert "Nothing is delivered" in out.splitlines()[1]


def test_one_is_shown_with_its_causes_and_who_was_told_and_nothing_steers_the_terminal() -> None:
    group = a_group()
    made = an_alert(group=group, detail=DETAIL, acknowledged_by="user:ada", note="on it")
    a_notice(group)
    done = manage("alerts", "show", str(made.pk))
    for part in (
        "21 min (limit 10 min)", "The receiver is slow (1,204)", "mx.example: 900", "ada on it",
        "Lower the rate.", "state:deferred", "firing to oncall@example.com (email), sent",
    ):  # fmt: skip
        assert part in done.out, part
    assert "\x1b" not in done.out
    [row] = rows("show", str(made.pk))
    assert (row["id"], row["group"]["title"], row["notices"][0]["via"]) == (
        made.pk, group.title, "mx.example.com",
    )  # fmt: skip


def test_it_is_acknowledged_once_alone_or_with_its_group() -> None:
    group = a_group()
    first, second = an_alert("a", group=group), an_alert("b", group=group)
    [done] = rows("ack", str(first.pk), "--note", "on it")
    assert (done["n"], done["alert"]["state"], done["alert"]["note"]) == (1, "acknowledged", "on it")
    again = manage("alerts", "ack", str(first.pk))
    assert again.code == 1
    assert "has acknowledged alert" in again.err
    assert manage("alerts", "ack", str(second.pk), "--group").out.startswith("Acknowledged 1.")
    assert set(Alert.objects.values_list("state", flat=True)) == {"acknowledged"}
    assert list(AuditEvent.objects.order_by("pk").values_list("action", "target")) == [
        ("alert.acknowledge", "a"), ("alert.acknowledge", group.title),
    ]  # fmt: skip
    assert AuditEvent.objects.first().actor.startswith("command")  # type: ignore[union-attr]


def test_a_silence_is_looked_at_made_listed_and_lifted() -> None:
    rule = a_rule()
    an_alert("Late", rule=rule, key="domain:a.example")
    asked = ("silence", "--for", "2h", "--reason", "works", "--rule", str(rule.pk))
    [preview] = rows(*asked, "--preview")
    assert (preview["n"], preview["alerts"][0]["title"]) == (1, "Late")
    assert not Silence.objects.exists()
    [made] = rows(*asked)
    assert (made["rule_id"], made["reason"]) == (rule.pk, "works")
    assert abs(Silence.objects.get().until - now() - timedelta(hours=2)) < timedelta(minutes=1)
    assert [row["id"] for row in rows("silences")] == [made["id"]]
    told = manage("alerts", "silence", "--for", "1h", "--reason", "x", "--all").out
    assert f"every alert, until {Silence.objects.latest('pk').until:%Y-%m-%d %H:%M} UTC" in told
    [lifted] = rows("unsilence", str(made["id"]))
    assert lifted["lifted_by"].startswith("command")
    assert made["id"] not in [row["id"] for row in rows("silences")]
    assert made["id"] in [row["id"] for row in rows("silences", "--over")]
    assert set(AuditEvent.objects.values_list("action", flat=True)) == {"silence.create", "silence.lift"}


def test_rules_are_listed_with_their_limit() -> None:
    a_rule()
    assert [row["condition"] for row in rows("rules")] == ["oldest_due"]
    assert "10 min" in manage("alerts", "rules").out


def test_a_test_shows_the_conversation() -> None:
    with Mailbox() as box, conf.override(alert_smtp=box.ways, alert_to=("oncall@example.com",)):
        done = manage("alerts", "test")
        [row] = rows("test", "me@example.com")
    assert done.code == 0
    assert "RCPT TO:<oncall@example.com>" in done.out
    assert (row["to"], row["state"], len(box.mails)) == ("me@example.com", "sent", 2)
    assert AuditEvent.objects.filter(action="alert.test").count() == 2


@pytest.mark.once
@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("list", "--limit", "0"), 2, "--limit 0 is not allowed"),
        (("lits",), 2, "invalid choice: 'lits'"),
        (("show", "99"), 1, "There is no alert 99"),
        (("show", "9" * 30), 1, "There is no alert"),
        (("show", "x"), 2, "invalid int value: 'x'"),
        (("ack", "99"), 1, "There is no alert 99"),
        (("unsilence", "99"), 1, "There is no silence 99"),
        (("silence", "--for", "1h", "--all"), 2, "--reason"),
        (("silence", "--for", "1h", "--reason", "x"), 2, "It would cover every alert"),
        (("silence", "--reason", "x", "--all"), 2, "Say how long"),
        (("silence", "--for", "1h", "--until", "2999-01-01", "--reason", "x", "--all"), 2, "Say how long"),
        (("silence", "--for", "soon", "--reason", "x", "--all"), 2, "--for 'soon' is not"),
        (("silence", "--until", "soon", "--reason", "x", "--all"), 2, "--until 'soon' is not a time"),
        (("silence", "--until", "2020-01-01", "--reason", "x", "--all"), 2, "is not a time to come"),
        (("silence", "--for", "99w", "--reason", "x", "--all"), 2, "90 days at most"),
        (("silence", "--for", "1h", "--reason", " ", "--all"), 2, "a reason is needed"),
        (("silence", "--for", "1h", "--reason", "x", "--severity", "loud"), 2, "severity 'loud'"),
        (("silence", "--for", "1h", "--reason", "x", "--rule", "99"), 1, "There is no alert rule 99"),
        (("test",), 2, "MAILWEIR_ALERT_TO names none"),
        (("test", "nobody"), 2, "'nobody' is not a usable address"),
        (("test", "--channel", "pigeon"), 2, "channel 'pigeon' is not one of email"),
        (("test", "--channel", "slack"), 1, "MAILWEIR_ALERT_SLACK"),
        (("test", "http://x.example", "--channel", "webhook"), 1, "is no webhook of the settings"),
        (("test", "--channel", "ping"), 1, "MAILWEIR_ALERT_PING"),
    ],
)  # fmt: skip
def test_what_can_not_be_is_refused_with_its_value(arguments: tuple[str, ...], code: int, said: str) -> None:
    with conf.override(alert_to=()):
        done = manage("alerts", *arguments)
    assert done.code == code, done
    assert said in done.err
    assert done.out == ""
    assert not Silence.objects.exists()
    assert not Notice.objects.exists()


def test_it_is_over_already() -> None:
    old, silence = an_old_alert(), a_silence(lifted_at=now(), lifted_by="user:ada")
    assert "ended at" in manage("alerts", "ack", str(old.pk)).err
    done = manage("alerts", "unsilence", str(silence.pk))
    assert done.code == 1
    assert "is over already" in done.err


@pytest.mark.once
def test_a_test_that_no_server_takes_fails() -> None:
    with conf.override(alert_ping="http://127.0.0.1:9/abc", alert_private="yes"):
        done = manage("alerts", "test", "--channel", "ping")
    assert done.code == 1
    assert "not taken" in done.out
    assert "abc" not in done.out + done.err, "what follows the host is a secret"
    assert Notice.objects.get().state == "failed"


# ── Rules with a search ───────────────────────────────────────────────────────────────────────

QUERY = "state:deferred domain:a.test"


def test_a_rule_with_a_search_is_tried_made_switched_and_removed() -> None:
    RecipientDomain.objects.create(name="a.test", n_deferred=7)
    [tried] = rows("rule-try", "--query", QUERY, "--above", "6")
    assert tried == {"holds": True, "n": 7, "is_cut": False, "why": ""}
    said = manage("alerts", "rule-try", "--query", QUERY, "--above", "7").out
    assert "It would not hold now: 7 match" in said
    assert not AlertRule.objects.exists()
    [made] = rows("rule-add", "Ours", "--query", QUERY, "--above", "6", "--for", "2m", "--to", "me@a.test")
    assert (made["query"], made["threshold"], made["holds_for"], made["recipients"]) == (
        QUERY, 6, 120, ["me@a.test"],
    )  # fmt: skip
    pk = str(made["id"])
    assert "Ours is off." in manage("alerts", "rule-off", pk).out
    assert rows("rule-on", pk)[0]["is_enabled"] is True
    assert QUERY[:20] in manage("alerts", "rules").out
    assert manage("alerts", "rule-remove", pk).code == 0
    assert not AlertRule.objects.exists()
    assert list(AuditEvent.objects.order_by("pk").values_list("action", flat=True)) == [
        "alert_rule.create", "alert_rule.change", "alert_rule.change", "alert_rule.delete",
    ]  # fmt: skip


@pytest.mark.once
@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("rule-try", "--query", "stat:deferred", "--above", "1"), 2, "stat:deferred\n  ^^^^\n"),
        (("rule-add", "x", "--query", "state:held sale", "--above", "1"), 2, " sale\n" + 13 * " " + "^^^^\n"),
        (("rule-add", "x", "--query", "", "--above", "1"), 2, "the search is empty"),
        (("rule-add", "x", "--query", QUERY, "--above", "-1"), 2, "threshold -1 is not a number"),
        (("rule-add", "x", "--query", QUERY), 2, "--above"),
        (("rule-add", "x", "--query", QUERY, "--above", "1", "--for", "soon"), 2, "--for 'soon'"),
        (("rule-add", "x", "--query", QUERY, "--above", "1", "--to", "nobody"), 2, "'nobody' is not"),
        (("rule-add", "x", "--query", QUERY, "--above", "1", "--severity", "loud"), 2, "severity 'loud'"),
        (("rule-on", "99"), 1, "There is no alert rule 99"),
        (("rule-remove", "99"), 1, "There is no alert rule 99"),
    ],
)  # fmt: skip
def test_a_rule_that_can_not_be_is_refused(arguments: tuple[str, ...], code: int, said: str) -> None:
    done = manage("alerts", *arguments)
    assert done.code == code, done
    assert said in done.err
    assert not AlertRule.objects.exists()
