"""One trouble: when its mail is at the second server, how many there are, and when the end is told."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from bench.alarms.letters import Letter
from bench.alarms.stage import HOLDS, Stage, opened
from bench.alarms.troubles import Trouble

QUIET = 30.0
"""Seconds in which a second mail would come."""
ENDS_WITHIN = 240.0
SILENT = 150.0
"""Seconds that somebody who can't tell is waited for: two pings and more."""


@dataclass
class Result:
    name: str
    database: str
    subject: str = ""
    raised: float = 0.0
    n_raised: int = 0
    resolved: float = 0.0
    n_resolved: int = 0
    is_one_thread: bool = False
    pings_silent: float = 0.0
    others: list[str] = field(default_factory=list)
    wrong: str = ""


def play(trouble: Trouble, database: str, folder: Path) -> Result:
    result = Result(trouble.name, database)
    with opened(folder, database, trouble.prepare) as stage:
        stage.shorten(trouble.rules())
        try:
            (_told if trouble.wants_mail else _silent)(trouble, stage, result)
        except TimeoutError as error:
            result.wrong = str(error)
        result.others = sorted({each.subject for each in stage.box.letters if not _is(each, trouble)})
    return result


def _is(letter: Letter, trouble: Trouble) -> bool:
    return trouble.subject in letter.subject


def _of(trouble: Trouble, stage: Stage, *, resolved: bool) -> list[Letter]:
    return [each for each in stage.box.letters if _is(each, trouble) and each.is_resolved is resolved]


def _told(trouble: Trouble, stage: Stage, result: Result) -> None:
    trouble.begin(stage)
    began = time.monotonic()
    stage.wait_for(lambda: bool(_of(trouble, stage, resolved=False)), trouble.within, "no mail")
    first = _of(trouble, stage, resolved=False)[0]
    result.raised, result.subject = first.at - began, first.subject
    time.sleep(QUIET)
    trouble.end(stage)
    ended = time.monotonic()
    stage.wait_for(lambda: _is_ended(first, stage), ENDS_WITHIN, "no resolved mail")
    last = _ends(first, stage)[0]
    result.resolved, result.is_one_thread = last.at - ended, last.thread == first.own_id
    time.sleep(QUIET / 2)
    result.n_raised = len(_of(trouble, stage, resolved=False))
    result.n_resolved = len(_ends(first, stage))
    if (result.n_raised, result.n_resolved) != (1, 1):
        result.wrong = f"{result.n_raised} mails and {result.n_resolved} that it is over"
    elif not result.is_one_thread:
        result.wrong = "the resolved mail is in another thread"


def _ends(first: Letter, stage: Stage) -> list[Letter]:
    return [each for each in stage.box.letters if each.is_resolved and each.thread == first.own_id]


def _is_ended(first: Letter, stage: Stage) -> bool:
    return bool(_ends(first, stage))


def _silent(trouble: Trouble, stage: Stage, result: Result) -> None:
    """Nobody is left to tell: no mail comes, and no ping; then both come again."""
    trouble.begin(stage)
    began = time.monotonic()
    time.sleep(SILENT)
    result.n_raised = len(_of(trouble, stage, resolved=False))
    trouble.end(stage)
    ended = time.monotonic()
    n = len(stage.pings.times)
    result.resolved = stage.wait_for(lambda: len(stage.pings.times) > n, 120, "no ping came again")
    result.pings_silent = stage.pings.longest_gap(began, ended)
    if result.n_raised:
        result.wrong = "a mail came from a watch that is dead"
    elif result.pings_silent < SILENT * 0.9:
        result.wrong = f"a ping came: the longest silence is {result.pings_silent:.0f} s"


__all__ = ["HOLDS", "Result", "play"]
