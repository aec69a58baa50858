"""docs/metrics.md, the rules for Prometheus and the dashboard for Grafana name what a scrape really tells.

The expressions are read by Prometheus' own promtool; that their figures exist, with the labels that they use,
is looked up in a scrape of a queue in which every family has a sample.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from queueapp import conf
from queueapp.models import Bookmark, EgressSource, OutcomeSlot, RecipientDomain, of_site
from queueapp.models.minute import TOTALS_AT
from queueapp.stats import outcomes
from queueapp.watch import pulse
from tests.dashboard.rows import a_site
from tests.docs.pages import ROOT, page
from tests.programs import find

pytestmark = [pytest.mark.django_db, pytest.mark.once]
DOCUMENT = page("docs/metrics.md")
RULES = ROOT / "docs/prometheus/mailweir.rules.yml"
GRAFANA = json.loads((ROOT / "docs/grafana/mailweir.json").read_text())
PROMTOOL = find("promtool") or "promtool"
# What Prometheus adds to each sample, and what it tells by itself.
_TARGET = {"job", "instance"}
_OWN = {"up"}
_SELECTOR = re.compile(r"\b((?:mailweir|up)[a-z0-9_:]*)\s*(?:\{([^}]*)\})?")
_MATCHER = re.compile(r"([a-z_]+)\s*(?:=~|!~|!=|=)")
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)")

Families = dict[str, tuple[str, frozenset[str]]]
"""Name of a sample to its type and labels."""


@pytest.fixture
def scrape(tmp_path: Path) -> str:
    site = a_site("mx.example")
    RecipientDomain.objects.create(name="example.net", site=site, n_deferred=3, due_at=timezone.now())
    OutcomeSlot.objects.create(scope=of_site(site.pk), at=TOTALS_AT, classes={"delivered": 1})
    EgressSource.objects.create(name="news", address="192.0.2.1", ehlo_name="news.example")
    data = {"times": {"3": 1}, "sources": {"192.0.2.1": {"delivered": 1}}}
    Bookmark.objects.create(pk=outcomes.NAME, at=timezone.now() - timedelta(seconds=2), data=data)
    pulse.beat()
    (tmp_path / "parts.json").write_text('{"parts": [{"name": "web", "state": "running"}]}')
    with conf.override(home=tmp_path):
        response = Client().get("/metrics")
    assert response.status_code == 200
    return response.content.decode()


@pytest.fixture
def families(scrape: str) -> Families:
    found: Families = {}
    for family in text_string_to_metric_families(scrape):
        for sample in family.samples:
            before = found.get(sample.name, ("", frozenset()))[1]
            found[sample.name] = (family.type, before | frozenset(sample.labels))
    return found


def test_the_page_tells_every_figure_with_its_type_and_labels(scrape: str) -> None:
    told = {
        row[0]: (row[1], frozenset(re.findall(r"\w+", row[2].replace("`", ""))))
        for row in DOCUMENT.rows("Metric")
    }
    found = {}
    for family in text_string_to_metric_families(scrape):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        found[name] = (family.type, frozenset(label for each in family.samples for label in each.labels))
    assert told == found


def test_numbers_of_labels_are_those_that_the_page_tells(scrape: str) -> None:
    """As far as they do not depend on sites and sources."""
    found = {family.name: family.samples for family in text_string_to_metric_families(scrape)}
    for row in DOCUMENT.rows("Metric"):
        if row[3].isdigit() and "source" not in row[2] and "site" not in row[2]:
            samples = found[row[0].removesuffix("_total")]
            n = sum(not sample.name.endswith(("_count", "_sum", "_created")) for sample in samples)
            assert n == int(row[3]), row[0]


@pytest.mark.needs("promtool")
def test_promtool_finds_nothing_to_blame_in_a_scrape(scrape: str) -> None:
    done = subprocess.run(
        [PROMTOOL, "check", "metrics"], input=scrape, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


# ── Rules ─────────────────────────────────────────────────────────────────────────────────────


def _rules() -> Iterator[dict[str, Any]]:
    for group in yaml.safe_load(RULES.read_text())["groups"]:
        yield from group["rules"]


@pytest.mark.needs("promtool")
def test_prometheus_loads_the_rules_and_their_tests_hold() -> None:
    _promtool("check", "rules", str(RULES))
    _promtool("test", "rules", str(RULES.with_suffix(".test.yml")))


def test_each_rule_says_what_and_how_bad() -> None:
    alerts = [rule for rule in _rules() if "alert" in rule]
    assert len({rule["alert"] for rule in alerts}) == len(alerts) >= 15
    for rule in alerts:
        assert rule["labels"]["severity"] in ("critical", "warning", "info"), rule["alert"]
        assert {"summary", "description"} <= set(rule["annotations"]), rule["alert"]


def test_rules_use_figures_that_there_are(families: Families) -> None:
    recorded = {rule["record"] for rule in _rules() if "record" in rule}
    for rule in _rules():
        told = _looked_up(rule["expr"], families, recorded)
        texts = " ".join(rule.get("annotations", {}).values())
        named = set(re.findall(r"\$labels\.(\w+)", texts))
        assert named <= told | _TARGET, rule


# ── Grafana ───────────────────────────────────────────────────────────────────────────────────

_KINDS = {"row", "stat", "timeseries", "table"}


def _targets() -> Iterator[tuple[str, dict[str, Any]]]:
    for panel in GRAFANA["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target


def test_the_dashboard_has_what_grafana_asks_of_one() -> None:
    assert GRAFANA["schemaVersion"] >= 36
    assert (GRAFANA["title"], GRAFANA["uid"]) == ("Mailweir", "mailweir")
    assert "id" not in GRAFANA, "an import gives it one"
    panels = GRAFANA["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        assert panel["type"] in _KINDS, panel["title"]
        at = panel["gridPos"]
        assert at["w"] > 0
        assert at["h"] > 0
        assert 0 <= at["x"] <= 24 - at["w"], panel["title"]
        if panel["type"] != "row":
            assert panel["datasource"]["uid"] == "${datasource}", panel["title"]
            assert panel["description"], panel["title"]
            assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
            assert panel["targets"], panel["title"]


def test_no_panel_lies_on_another() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in GRAFANA["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not taken & cells, panel["title"]
        taken |= cells


def test_its_variables_are_those_that_it_uses(families: Families) -> None:
    text = json.dumps(GRAFANA)
    variables = {each["name"]: each for each in GRAFANA["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)\}?", text)) - {"__rate_interval"}
    assert used == set(variables)
    for each in variables.values():
        if each["type"] == "query":
            label = re.match(r"label_values\((.+), (\w+)\)$", each["query"]["query"])
            assert label is not None, each["name"]
            _looked_up(label[1], families, set())
            assert label[2] in families[label[1].partition("{")[0]][1] | _TARGET


def test_panels_use_figures_that_there_are(families: Families) -> None:
    for title, target in _targets():
        assert target["refId"], title
        labels = _looked_up(target["expr"], families, set()) | _TARGET | {"le"}
        assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= labels, title


@pytest.mark.needs("promtool")
def test_prometheus_reads_the_expressions_of_the_panels(tmp_path: Path) -> None:
    texts = [target["expr"].replace("$__rate_interval", "5m") for _, target in _targets()]
    rules = [{"record": f"panel:{n}", "expr": re.sub(r"\$\w+", ".*", text)} for n, text in enumerate(texts)]
    file = tmp_path / "panels.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    _promtool("check", "rules", str(file))


def _promtool(*arguments: str) -> None:
    done = subprocess.run(
        [PROMTOOL, *arguments], capture_output=True, text=True, timeout=60, cwd=RULES.parent
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _looked_up(expression: str, families: Families, recorded: set[str]) -> set[str]:
    """Fails where a figure, or a label that is asked of it or grouped by, is not in the scrape; gives the
    labels of all figures of the expression."""
    labels: set[str] = set()
    plain = re.sub(r'"[^"]*"', '""', expression)
    for name, matchers in _SELECTOR.findall(plain):
        if name in recorded or name in _OWN:
            continue
        assert name in families, f"{name} in {expression}"
        has = families[name][1]
        assert set(_MATCHER.findall(matchers)) <= has | _TARGET, expression
        labels |= has
    for grouping in _GROUPING.findall(plain):
        assert set(re.findall(r"\w+", grouping)) <= labels | _TARGET | {"class", "event"}, expression
    return labels
