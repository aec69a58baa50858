from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from dashboard.snapshot.headline import headline
from queueapp.models.board import STUCK

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
STATES = ("queued", "sending", "deferred", "held", "delivered", "bounced", "expired", "deleted")


def told(
    *, late: float | None = None, runners: int = 1, parts: Any = (), domains: Any = (), **depth: int
) -> dict[str, Any]:
    stuck = [row for row in domains if row["state"] in STUCK]
    found = {
        "depth": {state: depth.get(state, 0) for state in STATES},
        "runners": [{}] * runners,
        "parts": list(parts),
        "domains": list(domains),
        "stuck": {"worst": stuck[:1], "n": len(stuck)},
    }
    return headline(found, late)


def a_row(name: str = "a.test", state: str = "waiting", n: int = 5, n_deferred: int = 5) -> dict[str, Any]:
    return {
        "name": name,
        "state": state,
        "n_open": n,
        "n_deferred": n_deferred,
        "cause": "Because.",
        "reply": "421 no",
        "page_url": "/domains/a.test",
        "act_url": "/domains/a.test/resume" if state == "suspended" else "/sites/1/lift",
        "since": NOW,
        "url": "/x",
    }


def test_it_works() -> None:
    assert told(queued=3)["title"] == "Mail is flowing."
    assert told(delivered=3)["title"] == "All is delivered."
    assert told()["title"] == "Ready."


def test_it_says_first_that_nobody_works() -> None:
    line = told(late=20, runners=0, queued=1, domains=[a_row(state="suspended")])
    assert line["level"] == "danger"
    assert "no queue runner is at work" in line["title"]
    assert line["url"]


def test_it_gives_a_runner_time_to_start() -> None:
    assert told(late=2, runners=0, queued=1)["level"] == "ok"


def test_it_names_a_part_that_is_down() -> None:
    line = told(parts=[{"name": "smtpd", "state": "restarting", "last_exit": "exit 1"}])
    assert line["title"] == "smtpd is being started again."
    assert "exit 1" in line["detail"]


def test_it_says_that_mail_is_late() -> None:
    assert "12 minutes" in told(late=725, queued=9)["detail"]


def test_it_says_which_domain_is_stuck_and_since_when() -> None:
    line = told(domains=[a_row("a.test", "backing_off", 1331), a_row("b.test", "suspended"), a_row("c.test")])
    assert line["title"] == "a.test makes us back off: 1,331 deliveries wait. 1 more domain is stuck too."
    assert (line["detail"], line["since"]) == ("Because. 421 no", NOW)
    assert (line["url"], line["act_url"], line["act"]) == (
        "/board?state=stuck",
        "/sites/1/lift",
        "Lift\u2026",
    )


def test_it_leads_to_the_one_that_is_stuck_and_to_what_helps() -> None:
    line = told(domains=[a_row("a.test", "suspended")])
    assert (line["url"], line["link"]) == ("/domains/a.test", "See why")
    assert (line["act_url"], line["act"]) == ("/domains/a.test/resume", "Resume\u2026")
    assert "no session for an hour" in told(domains=[a_row(state="dead")])["title"]


def test_it_tells_what_waits_for_its_next_attempt() -> None:
    line = told(deferred=1, domains=[a_row(n_deferred=1)])
    assert line["title"] == "1 delivery waits for its next attempt."
    assert line["level"] == "info"


def test_it_mentions_what_is_held() -> None:
    assert told(held=1200, delivered=5)["title"] == "All is delivered but 1,200 that are held."
