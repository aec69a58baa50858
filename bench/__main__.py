"""`make bench`: runs every benchmark of this folder, a module `bench_….py` with a `main()` each."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path


def main() -> int:
    names = [each.name for each in pkgutil.iter_modules([str(Path(__file__).parent)])]
    benchmarks = [name for name in names if name.startswith("bench_")]
    for name in benchmarks:
        print(f"── {name.removeprefix('bench_')}", flush=True)
        importlib.import_module(f"bench.{name}").main()
    if not benchmarks:
        print("There is nothing to measure yet: bench/README.md says what comes first.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
