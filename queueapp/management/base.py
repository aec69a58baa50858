"""What every command of ours shares: exit codes 0, 1, 2 and errors in one line on stderr.

A command's `run()` returns nothing (exit 0) or the exit code. It raises `Failed` for what went
wrong (1) and `WrongUsage` for what was asked wrongly (2). A database or Redis that is away is told
in one line, too. A traceback means a defect of ours, never a wrong input.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import InterfaceError, OperationalError, ProgrammingError
from redis.exceptions import RedisError

from queueapp import conf


class Failed(CommandError):
    """It could not be done: exit 1."""

    def __init__(self, text: str) -> None:
        super().__init__(text, returncode=1)


class WrongUsage(CommandError):
    """It was asked wrongly: exit 2."""

    def __init__(self, text: str) -> None:
        super().__init__(text, returncode=2)


class Command(BaseCommand):
    """The base of our commands: write `add_arguments` and `run`."""

    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """None, unless the command says so."""

    def run(self, **options: Any) -> int | None:
        raise NotImplementedError

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            code = self._run(options)
        except CommandError as error:
            self.stderr.write(str(error))
            code = error.returncode
        if code:
            raise SystemExit(code)

    def _run(self, options: dict[str, Any]) -> int | None:
        try:
            code = self.run(**options)
            self.stdout.flush()
            return code
        except BrokenPipeError:
            # `queue list | head`: the reader has what it wanted.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return None
        except (OperationalError, InterfaceError) as error:
            raise Failed(database_away(error)) from None
        except ProgrammingError as error:
            raise Failed(
                f"The database lacks our tables ({first_line(error)}). Run: manage.py migrate"
            ) from None
        except RedisError as error:
            raise Failed(
                f"Redis does not answer ({first_line(error)}). Check REDIS_URL, or start `manage.py up`."
            ) from None
        except KeyboardInterrupt:
            raise CommandError("Interrupted.", returncode=130) from None


def database_away(error: Exception) -> str:
    if "no such table" in str(error):
        return f"The database lacks our tables ({first_line(error)}). Run: manage.py migrate"
    where = "DATABASE_URL" if conf.current().database_url else f"MAILWEIR_HOME={conf.current().home}"
    return f"The database does not answer ({first_line(error)}). Check {where} and that it runs."


def first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
