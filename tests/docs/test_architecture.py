"""docs/architecture.md names the indexes, parts, events and layers that there are."""

from __future__ import annotations

import re
import socket
import tomllib

from django.apps import apps

from queueapp import conf
from queueapp.workers import parts
from tests.docs.pages import ROOT, page

DOCUMENT = page("docs/architecture.md")


def test_every_index_is_there_with_its_query() -> None:
    told = {row[0]: row[2] for row in DOCUMENT.rows("Index")}
    models = apps.get_app_config("queueapp").get_models()
    there = {index.name for model in models for index in model._meta.indexes}
    there |= {"minute_once", "idempotency_once", "dkim_active_once"}
    assert set(told) == there
    assert all(told.values())


def test_every_table_is_there() -> None:
    told = {row[0] for row in DOCUMENT.rows("Table")}
    assert told == {model.__name__ for model in apps.get_app_config("queueapp").get_models()}


def test_every_part_of_up_is_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        settings = conf.current()
        there = [*parts.all_parts(settings, sock, sock, sock), parts.embedded_valkey(settings)]
    told = {row[0] for row in DOCUMENT.rows("Part")}
    assert told == {part.name.partition("-")[0] for part in there}


def test_every_event_is_there() -> None:
    sources = [path.read_text() for path in (ROOT / "queueapp").rglob("*.py")]
    sent = {kind for text in sources for kind in re.findall(r'events\.publish\("(\w+)"', text)}
    assert {row[0] for row in DOCUMENT.rows("Event")} == sent


def test_every_layer_is_there_in_its_order() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(each["layers"] for each in config if each.get("containers") == ["queueapp"])
    there = [sorted(part.strip("() ") for part in line.split("|")) for line in layers]
    exist = [[name for name in line if _exists(name)] for line in there]
    told = [sorted(cell.split(", ")) for (cell, *_) in DOCUMENT.rows("Layer, highest first")]
    assert told == [line for line in exist if line]


def _exists(name: str) -> bool:
    return (ROOT / "queueapp" / name).is_dir() or (ROOT / "queueapp" / f"{name}.py").exists()
