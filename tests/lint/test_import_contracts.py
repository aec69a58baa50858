"""The import contracts in pyproject.toml say what DESIGN.md promises, and grow with the folders."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent


def _contracts() -> list[dict[str, Any]]:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return list(config["tool"]["importlinter"]["contracts"])


def _forbidden(source: str) -> set[str]:
    return {
        module
        for contract in _contracts()
        if contract["type"] == "forbidden" and source in contract["source_modules"]
        for module in contract["forbidden_modules"]
    }


def test_mail_and_transports_know_no_framework() -> None:
    assert {"django", "redis", "channels"} <= _forbidden("queueapp.mail")
    assert {"django", "redis", "queueapp.models", "queueapp.conf"} <= _forbidden("queueapp.transports")


def test_the_alarm_gets_its_contract_with_its_folder() -> None:
    if (ROOT / "queueapp" / "watch").exists():
        assert {"queueapp.engine", "queueapp.ingest"} <= _forbidden("queueapp.watch")


def test_no_folder_is_outside_the_stack() -> None:
    stacks = [contract for contract in _contracts() if "containers" in contract]
    assert {name for stack in stacks for name in stack["containers"]} == {"queueapp", "dashboard"}
    assert all(stack["exhaustive"] for stack in stacks)
