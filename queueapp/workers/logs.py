"""Log lines: readable text or one JSON object each (`MAILWEIR_LOG`), to stderr.

Under systemd and in containers stderr is where a log belongs, and whoever runs `up` in a terminal
sees it at once. Only Valkey writes a file of its own, `$MAILWEIR_HOME/logs/valkey.log`.
Promises: a line is one line, whatever a stranger wrote into it; a log that can't be written (a
closed terminal, a full disk) never stops the process that writes it.
"""

from __future__ import annotations

import logging
import re
import sys
from typing import Any, TextIO

import structlog
from structlog.types import EventDict, Processor

_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
# Libraries that tell more than an administrator wants to read.
_QUIET = ("rq.worker", "rq.job", "rq.queue", "rq.registry", "axes", "uvicorn", "uvicorn.error", "asyncio")


def _one_line(value: Any) -> Any:
    if isinstance(value, str):
        return _UNSAFE.sub("\ufffd", value).replace("\n", "\\n").replace("\t", " ")
    return value


def _clean(_logger: Any, _name: str, event: EventDict) -> EventDict:
    for key, value in event.items():
        if key != "exception":
            event[key] = _one_line(value)
    return event


def _text(_logger: Any, _name: str, event: EventDict) -> str:
    at, level, source = event.pop("timestamp", ""), event.pop("level", ""), event.pop("logger", "")
    trace = event.pop("exception", "")
    words = [str(at), f"{level:<7}", f"{source}:", str(event.pop("event", ""))]
    words += [f"{key}={value}" for key, value in sorted(event.items())]
    line = " ".join(words)
    return f"{line}\n{_UNSAFE.sub(chr(0xFFFD), trace)}" if trace else line


def configure(form: str = "text", level: int = logging.INFO, stream: TextIO | None = None) -> None:
    """Send all logs of this process to `stream` (stderr) as `form` says. May be called again."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="%Y-%m-%dT%H:%M:%S.%fZ", utc=True),
        structlog.processors.format_exc_info,
        _clean,
    ]
    last: Processor = structlog.processors.JSONRenderer() if form == "json" else _text
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, last],
        )
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.raiseExceptions = False
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
