"""Only queueapp/engine writes Delivery.state: `python -m tests.lint.state_writers` lists who else does.

It reads the syntax of every product file outside the engine and reports

- an assignment to an attribute `state`, and `setattr(row, "state", …)`;
- `update`, `create`, `get_or_create` and the like with `state`, and `Delivery(…, state=…)`;
- `bulk_update` with the field name;
- SQL in a string constant that sets `state` in an UPDATE of deliveries, or of a table named at run time.

Types are not known here, so a row is taken for a delivery unless its name says that it is something
else. `self.state` is another class's own, save in Delivery. A new row gets its state from the model's
default. What it can't see: field names and SQL that are put together at run time.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDERS = ("queueapp", "dashboard")
WRITER = ("queueapp", "engine")
# Names of other things that have a state of their own.
OTHERS = {
    "part",
    "operation",
    "operations",
    "campaign",
    "campaigns",
    "alert",
    "alerts",
    "notice",
    "listing",
    "listings",
}
ADVICE = "only queueapp/engine writes Delivery.state: call its functions, which keep counters and events true"

_QUERYSET_WRITES = {"update", "create", "get_or_create", "update_or_create"}
_SQL_UPDATE = re.compile(
    r"\bUPDATE\s+(?:ONLY\s+)?(?P<table>[^\s]+)(?:\s+(?:AS\s+)?\w+)?\s+SET\s+(?P<set>.*?)(?:\bWHERE\b|\bRETURNING\b|\Z)",
    re.IGNORECASE | re.DOTALL,
)
_SQL_STATE = re.compile(r"(?:^|[\s,(\"])state\"?\s*(?:=|,[^=]*\)\s*=|\)\s*=)", re.IGNORECASE)
_UNKNOWN = "{}"  # stands for what an f-string fills in


def violations(source: str, name: str = "") -> list[str]:
    """One line for each place of a file that writes the state."""
    tree = ast.parse(source, filename=name)
    found = sorted({(node.lineno, what) for node, what in _walk(tree, in_delivery=False)})
    return [f"{name}:{line}: {what}: {ADVICE}" for line, what in found]


def _walk(node: ast.AST, *, in_delivery: bool) -> Iterator[tuple[ast.expr, str]]:
    if isinstance(node, ast.ClassDef):
        in_delivery = node.name.startswith("Delivery")
    if isinstance(node, ast.Attribute):
        yield from _assignment(node, in_delivery)
    elif isinstance(node, ast.Call):
        yield from _call(node)
    elif isinstance(node, (ast.Constant, ast.JoinedStr)):
        yield from _sql(node)
        return  # the parts of an f-string are not looked at again
    for child in ast.iter_child_nodes(node):
        yield from _walk(child, in_delivery=in_delivery)


def _assignment(node: ast.Attribute, in_delivery: bool) -> Iterator[tuple[ast.expr, str]]:
    if node.attr != "state" or isinstance(node.ctx, ast.Load):
        return
    is_own = isinstance(node.value, ast.Name) and node.value.id == "self"
    if in_delivery if is_own else _may_be_delivery(node.value):
        yield node, f"assigns {ast.unparse(node)}"


def _call(node: ast.Call) -> Iterator[tuple[ast.expr, str]]:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if name == "setattr" and _names_state(node.args[1:2]):
        yield node, "setattr of state"
    elif name == "Delivery" and _gives_state(node):
        yield node, "makes a Delivery with a state"
    elif isinstance(node.func, ast.Attribute) and _may_be_delivery(node.func.value):
        verb = name.removeprefix("a")  # the asynchronous forms
        if "bulk_update" in (name, verb):
            is_write = _names_state(_later_arguments(node))
        else:
            is_write = bool({name, verb} & _QUERYSET_WRITES) and _gives_state(node)
        if is_write:
            yield node, f"calls {name} with state"


def _may_be_delivery(receiver: ast.expr) -> bool:
    """Whether a row or queryset may be of deliveries, by the name that its expression begins with."""
    names = [each.id for each in ast.walk(receiver) if isinstance(each, ast.Name)]
    root = _root(receiver)
    if root is None or "Delivery" in names:
        return True
    is_other_model = root[:1].isupper() and root != "Delivery"
    return not is_other_model and root not in OTHERS


def _root(node: ast.expr) -> str | None:
    while isinstance(node, (ast.Attribute, ast.Call, ast.Subscript, ast.Await)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else None


def _gives_state(node: ast.Call) -> bool:
    """Whether the call names the field: as a keyword, or as a key of a dictionary that holds fields."""
    keys: list[ast.expr] = []
    for each in node.keywords:
        if each.arg == "state":
            return True
        if each.arg in (None, "defaults", "create_defaults") and isinstance(each.value, ast.Dict):
            keys += [key for key in each.value.keys if key is not None]
    return _names_state(keys)


def _later_arguments(node: ast.Call) -> list[ast.expr]:
    return [*node.args[1:], *(each.value for each in node.keywords)]


def _names_state(nodes: list[ast.expr]) -> bool:
    return any(
        isinstance(each, ast.Constant) and each.value == "state" for node in nodes for each in ast.walk(node)
    )


def _sql(node: ast.Constant | ast.JoinedStr) -> Iterator[tuple[ast.expr, str]]:
    for match in _SQL_UPDATE.finditer(_text(node)):
        table = match["table"].lower()
        if ("delivery" in table or _UNKNOWN in table) and _SQL_STATE.search(match["set"]):
            yield node, "SQL sets state"


def _text(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    assert isinstance(node, ast.JoinedStr)
    return "".join(_text(part) if isinstance(part, ast.Constant) else _UNKNOWN for part in node.values)


def product_files(root: Path = ROOT) -> list[Path]:
    """Every file that the rule holds for."""
    files = [path for folder in FOLDERS for path in sorted((root / folder).rglob("*.py"))]
    return [path for path in files if path.relative_to(root).parts[:2] != WRITER]


def main() -> int:
    found = [
        line
        for path in product_files()
        for line in violations(path.read_text(encoding="utf-8"), str(path.relative_to(ROOT)))
    ]
    print(*found, sep="\n", end="\n" if found else "", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
