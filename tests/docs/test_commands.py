"""docs/commands.md is what the commands say of themselves: each command, each of its options."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator

import pytest
from django.core.management import load_command_class
from django.core.management.base import BaseCommand

from tests.docs.pages import ROOT, page

COMMANDS = sorted(
    path.stem for path in (ROOT / "queueapp/management/commands").glob("*.py") if path.stem != "__init__"
)
DOCUMENT = page("docs/commands.md")
NAMES = pytest.mark.parametrize("name", COMMANDS)
# What sendmail reads itself, since argparse can't.
SENDMAIL = {"-t", "-i", "-oi", "-f", "-F"}


@NAMES
def test_it_has_a_section(name: str) -> None:
    assert f"manage.py {name}" in DOCUMENT.section(name)


@NAMES
def test_its_options_are_all_there_and_none_is_made_up(name: str) -> None:
    told = set(
        re.findall(r"(?<![\w-])--?[a-zA-Z][\w-]*", re.sub(r"(?m)^curl.*$", "", DOCUMENT.section(name)))
    )
    if name == "sendmail":
        assert told >= SENDMAIL
        return
    own = set(_options(_parser(name))) - _inherited(name)
    assert own <= told, f"docs/commands.md lacks {own - told}"
    assert told <= set(_options(_parser(name))), f"{name} has no {told - set(_options(_parser(name)))}"


@NAMES
def test_its_exit_codes_are_told(name: str) -> None:
    assert "Exit" in DOCUMENT.section(name)


@pytest.mark.parametrize("name", ["queue", "apikey", "smtplogin", "dkim", "person", "alerts"])
def test_its_verbs_are_all_there(name: str) -> None:
    for verb in _verbs(_parser(name)):
        assert f"manage.py {name} {verb}" in DOCUMENT.section(name)


def test_no_command_is_made_up() -> None:
    named = set(re.findall(r"manage\.py ([a-z]\w*)", DOCUMENT.text))
    assert named <= {*COMMANDS, "migrate", "createsuperuser", "changepassword", "check", "shell", "help"}


def _parser(name: str) -> argparse.ArgumentParser:
    return load_command_class("queueapp", name).create_parser("manage.py", name)


def _options(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:
        yield from action.option_strings
        if isinstance(action, argparse._SubParsersAction):
            for verb in action.choices.values():
                yield from _options(verb)


def _verbs(parser: argparse.ArgumentParser) -> list[str]:
    found = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return [str(verb) for action in found for verb in action.choices]


def _inherited(name: str) -> set[str]:
    """Options that every command has, and those of django-rq, which has documents of its own."""
    inherited = set(_options(BaseCommand().create_parser("manage.py", "x")))
    if name == "rqworker":
        from django_rq.management.commands.rqworker import Command

        inherited |= set(_options(Command().create_parser("manage.py", "rqworker")))
    return inherited
