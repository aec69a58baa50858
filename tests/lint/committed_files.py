"""What must not be committed: `python -m tests.lint.committed_files` lists where it is.

- A download address in a lock file: each machine uses the registry that it is set up for.
- A path of the machine that something was written on: it means nothing on any other.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
_ADDRESS = re.compile(r"\w+://|--(?:extra-)?index-url|--find-links", re.IGNORECASE)
_PRIVATE = re.compile(r"(?<![\w.~])/(?:root|home/(?!mailweir\b|USER\b)[\w.-]+|Users/[\w.-]+)/[\w.-]")
_BIGGEST = 2_000_000  # bytes; larger files are data


def committed(root: Path = ROOT) -> list[str]:
    """Files that git keeps or would with `git add`: a mistake is found before it is committed."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        capture_output=True,
        check=True,
    )
    return sorted(name for name in listed.stdout.decode().split("\0") if name)


def lock_addresses(name: str, text: str) -> Iterator[str]:
    """Lines of a lock file that say where to download from."""
    if name.endswith("package-lock.json"):
        for package, entry in json.loads(text).get("packages", {}).items():
            entry.pop("funding", None)  # whom to thank, not where to load from
            if "resolved" in entry or _ADDRESS.search(json.dumps(entry)):
                yield f"{name}: {package}: holds a download address; run `make lock`"
    elif name.endswith(".lock"):
        for number, line in enumerate(text.splitlines(), 1):
            if _ADDRESS.search(line):
                yield f"{name}:{number}: holds a download address; run `make lock`"


def machine_paths(name: str, text: str, here: str) -> Iterator[str]:
    """Lines that name a folder of one machine; `here` is the working copy's own."""
    for number, line in enumerate(text.splitlines(), 1):
        if _PRIVATE.search(line) or (here in line if here.count("/") > 1 else False):
            yield f"{name}:{number}: names a path of one machine"


def problems(root: Path = ROOT) -> Iterator[str]:
    for name in committed(root):
        path = root / name
        if not path.is_file() or path.is_symlink() or path.stat().st_size > _BIGGEST:
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # pictures and mails in odd charsets
        yield from lock_addresses(name, text)
        yield from machine_paths(name, text, f"{root}/")


def main() -> int:
    found = list(problems())
    print(*found, sep="\n", end="\n" if found else "", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
