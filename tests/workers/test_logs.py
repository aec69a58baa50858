"""Log lines: one event, one line, in the form that the setting asks for."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from queueapp.workers import logs


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level, raises = root.handlers[:], root.level, logging.raiseExceptions
    levels = {name: logging.getLogger(name).level for name in logs._QUIET}
    yield
    root.handlers[:], logging.raiseExceptions = handlers, raises
    root.setLevel(level)
    for name, value in levels.items():
        logging.getLogger(name).setLevel(value)
    structlog.reset_defaults()


def test_it_writes_text() -> None:
    stream = io.StringIO()
    logs.configure("text", stream=stream)
    logging.getLogger("queueapp.engine").warning("lease of %d lost", 7)
    assert stream.getvalue().count("\n") == 1
    assert stream.getvalue().endswith("warning queueapp.engine: lease of 7 lost\n")


def test_it_writes_json() -> None:
    stream = io.StringIO()
    logs.configure("json", stream=stream)
    logging.getLogger("queueapp.engine").error("lost")
    structlog.get_logger("queueapp.ingest").info("accepted", message=12)
    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert (first["event"], first["level"], first["logger"]) == ("lost", "error", "queueapp.engine")
    assert (second["event"], second["message"]) == ("accepted", 12)
    assert first["timestamp"].endswith("Z")


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_stranger_can_not_forge_a_line(form: str) -> None:
    stream = io.StringIO()
    logs.configure(form, stream=stream)
    hostile = "x\r\n2026-01-01 error forged\x1b[2J\u2028\u202e"
    logging.getLogger("queueapp").warning("reply: %s", hostile)
    structlog.get_logger("queueapp").warning("reply", text=hostile)
    assert len(stream.getvalue().splitlines()) == 2
    assert "\x1b" not in stream.getvalue()


def test_it_keeps_a_trace_readable_in_text_and_one_line_in_json() -> None:
    for form, n in (("text", 5), ("json", 1)):
        stream = io.StringIO()
        logs.configure(form, stream=stream)
        try:
            raise ValueError("why")
        except ValueError:
            logging.getLogger("queueapp").exception("failed")
        assert "ValueError: why" in stream.getvalue()
        assert len(stream.getvalue().splitlines()) == n


def test_a_log_that_can_not_be_written_stops_nothing() -> None:
    with open("/dev/full", "w", buffering=1) as full:
        logs.configure("text", stream=full)
        logging.getLogger("queueapp").error("nobody reads this")
        logging.getLogger().handlers.clear()
        try:
            full.close()
        except OSError:
            pass
