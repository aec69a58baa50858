"""Where a benchmark's systems live: a folder of their own on a real disk, gone when the run is over.

A system that keeps its promises waits for the disk. In memory (tmpfs) it would wait for nothing and
every figure would be a lie, so a folder there is refused.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

_IN_MEMORY = {"tmpfs", "ramfs", "devtmpfs"}
_PLACES = ("/var/tmp", "/tmp")


class NoDisk(RuntimeError):
    """No folder on a real disk can be written to."""


def place() -> Path:
    """The folder that scratch folders are made in: BENCH_SCRATCH, or else the first one on a disk."""
    wanted = os.environ.get("BENCH_SCRATCH", "")
    for text in [wanted] if wanted else _PLACES:
        if os.path.isdir(text) and os.access(text, os.W_OK) and filesystem_of(text) not in _IN_MEMORY:
            return Path(text).resolve()
    tried = wanted or ", ".join(_PLACES)
    raise NoDisk(f"no writable folder on a real disk among {tried}: name one with BENCH_SCRATCH=/path")


def filesystem_of(path: str | Path) -> str:
    """The type of file system that holds the path, such as ext4; "" where the kernel doesn't tell."""
    best, kind = "", ""
    real = os.path.realpath(path)
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/mounts").read_text(errors="replace").splitlines():
            fields = line.split()
            mount = fields[1].encode().decode("unicode_escape")
            inside = real == mount or real.startswith(mount.rstrip("/") + "/")
            if inside and len(mount) >= len(best):
                best, kind = mount, fields[2]
    return kind


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A new folder that other accounts can pass through, since PostgreSQL and MTAs run as such.

    Its path is short: unix sockets live in it, whose paths may have 107 bytes. What the tests'
    helpers put into the temporary folder goes there as well.
    """
    folder = Path(tempfile.mkdtemp(prefix="mwb-", dir=place()))
    folder.chmod(0o755)
    before, tempfile.tempdir = tempfile.tempdir, str(folder)
    try:
        yield folder
    finally:
        tempfile.tempdir = before
        shutil.rmtree(folder, ignore_errors=True)
