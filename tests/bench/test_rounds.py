"""The order of runs, what a failure costs, and what the report makes of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import report
from bench.options import Options, peers_named
from bench.rounds import Case, Outcome, Sample, play, usable
from bench.systems.base import Contender, Failed, ours
from bench.systems.postfix import master_lines


class Ours(Contender):
    label = "mailweir sqlite"
    is_ours = True


class Peer(Contender):
    label = "peer"


class Gone(Contender):
    label = "gone"

    @classmethod
    def why_missing(cls) -> str:
        return "it is not installed"


def _case(rates: dict[str, list[float]]) -> Case:
    def measure(contender: type[Contender]) -> Sample:
        rate = rates[contender.label].pop(0)
        if not rate:
            raise Failed("it fell over\nat line 2")
        return Sample(rate=rate, n=100, seconds=100 / rate, cpu_seconds=0.1, lost=0, repeated=0)

    return Case("case", "a case", measure)


def test_systems_run_in_turn() -> None:
    said: list[str] = []
    play(_case({"mailweir sqlite": [1, 2], "peer": [3, 4]}), [Ours, Peer], 2, said.append)
    assert ["peer" in line for line in said] == [False, True, False, True]


def test_a_run_that_fails_is_told_and_the_others_go_on() -> None:
    said: list[str] = []
    rates = {"mailweir sqlite": [100.0, 300.0, 200.0], "peer": [50.0, 0, 70.0]}
    outcome = play(_case(rates), [Ours, Peer], 3, said.append)
    assert "it fell over … at line 2" in said[3]
    assert report.medians(outcome.samples["peer"])["n_failed"] == 1
    assert report.medians(outcome.samples["peer"])["rate"] == 60
    table = "\n".join(report.table(outcome))
    assert "mailweir sqlite / peer: 3.33" in table
    assert "FAILED peer" in table


def test_where_every_run_failed_there_is_no_figure() -> None:
    outcome = play(_case({"mailweir sqlite": [10.0], "peer": [0]}), [Ours, Peer], 1, lambda _: None)
    assert report.ratios(outcome) == []
    assert any("peer" in line and "failed" in line for line in report.table(outcome))


def test_what_is_missing_is_said_and_left_out() -> None:
    said: list[str] = []
    assert usable([Ours, Gone], said.append) == [Ours]
    assert said == ["   without gone: it is not installed"]


def test_medians_of_cost_and_peaks_of_memory() -> None:
    samples = [
        Sample(rate=rate, n=1000, cpu_seconds=cpu, runner_mb=mb, repeated=again)
        for rate, cpu, mb, again in ((10, 1.0, 80, 0), (30, 3.0, 90, 2), (20, 2.0, 70, 0))
    ]
    found = report.medians(samples)
    assert (found["rate"], found["min"], found["max"]) == (20, 10, 30)
    assert (found["cpu_per_1000"], found["runner_mb"], found["repeated"]) == (2.0, 90, 2)


def test_a_peer_with_a_database_is_compared_on_the_same() -> None:
    samples = {name: [Sample(rate=1.0)] for name in ("mailweir sqlite", "mailweir postgres", "x sqlite", "y")}
    found = [(mine, peer) for mine, peer, _ in report.ratios(Outcome(_case({}), samples))]
    assert found == [("mailweir sqlite", "x sqlite"), ("mailweir sqlite", "y"), ("mailweir postgres", "y")]


def test_time_in_proportion_is_one() -> None:
    small = Outcome(Case("10", "", lambda _: Sample()), {"mailweir sqlite": [Sample(rate=100.0)]})
    large = Outcome(Case("100", "", lambda _: Sample()), {"mailweir sqlite": [Sample(rate=50.0)]})
    assert report.proportions([small, large]) == ["mailweir sqlite: time for each, from 10 to 100: × 2.00"]


def test_a_busy_sink_is_told() -> None:
    outcome = Outcome(_case({}), {"peer": [Sample(rate=1.0, sink_busy=0.95)]})
    assert any("the sink was busy for 95%" in line for line in report.table(outcome))


def test_the_json_has_every_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "RESULTS", tmp_path / "results")
    outcome = play(_case({"mailweir sqlite": [10.0, 20.0]}), [Ours], 2, lambda _: None)
    written = json.loads(report.write("case", [outcome], vars(Options())).read_text())
    [case] = written["cases"]
    runs = case["systems"]["mailweir sqlite"]["runs"]
    assert [run["rate"] for run in runs] == [10.0, 20.0]
    assert runs[0]["cpu_per_1000"] == 1.0
    assert written["options"]["runs"] == 5
    assert written["machine"]["cores"] > 0


def test_peers_with_a_database_run_on_those_that_ours_use() -> None:
    labels = [each.label for each in Options(database="postgres").contenders()]
    assert "mailweir postgres" in labels
    assert "post_office postgres" in labels
    assert not [label for label in labels if label.endswith("sqlite")]
    assert len([label for label in labels if label.startswith("postfix")]) == 2


def test_a_wrong_peer_is_named() -> None:
    assert peers_named("postfix, exim") == ("postfix", "exim")
    assert peers_named("none") == ()
    with pytest.raises(ValueError, match="sendmail"):
        peers_named("postfix,sendmail")


def test_a_case_of_our_own_has_no_peer() -> None:
    assert [each for each in (Ours, Peer) if ours(each)] == [Ours]


def test_postfix_loads_without_its_queue_manager() -> None:
    shipped = (
        "# comment\nsmtp inet n - y - - smtpd\ncleanup unix n - y - 0 cleanup\nqmgr unix n - n 300 1 qmgr\n"
        "relay unix - - y - - smtp\n  -o syslog_name=x\nuucp unix - n n - - pipe\n  flags=F user=uucp\n"
    )
    loading = master_lines(shipped, 2500, with_queue_manager=False)
    assert "qmgr" not in loading
    assert "in_flow_delay=0" in loading
    delivering = master_lines(shipped, 2500, with_queue_manager=True)
    assert "qmgr" in delivering
    assert "in_flow_delay" not in delivering
    assert "pipe" not in delivering
    assert "uucp" not in delivering
    assert "  -o syslog_name=x" in delivering
    assert delivering.startswith("127.0.0.1:2500  inet  n  -  n ")
