"""The embedded Valkey: private, durable, and empty rather than dead."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from queueapp.workers import valkey
from tests.processes import die_with_parent, stop
from tests.workers.test_supervisor import until

RUN = "import sys; from pathlib import Path; from queueapp.workers import valkey; " \
      "home = Path(sys.argv[1]); valkey.run(home, home / 'v.sock')(None)"  # fmt: skip


class Home:
    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="mw-v-"))
        self.socket = self.path / "v.sock"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> redis.Redis:
        self.process = subprocess.Popen(
            [sys.executable, "-c", RUN, str(self.path)],
            cwd=Path(__file__).resolve().parents[2],
            preexec_fn=die_with_parent,
        )
        process = self.process
        until(lambda: valkey.answers(self.socket) or process.poll() is not None)
        return redis.Redis(unix_socket_path=str(self.socket))

    def kill(self, sign: int = signal.SIGKILL) -> None:
        assert self.process is not None
        stop(self.process, sign=sign)


@pytest.fixture
def home() -> Iterator[Home]:
    made = Home()
    yield made
    if made.process:
        made.kill()


def test_it_works(home: Home) -> None:
    client = home.start()
    client.set("a", "1")
    assert home.socket.stat().st_mode & 0o777 == 0o700
    assert client.config_get("port")["port"] == "0"
    client.close()
    home.kill(signal.SIGTERM)
    assert not valkey.answers(home.socket)


def test_it_keeps_its_data_over_a_stop_and_a_kill(home: Home) -> None:
    for sign in (signal.SIGTERM, signal.SIGKILL):
        client = home.start()
        client.set(str(sign), "1")
        if sign == signal.SIGKILL:
            client.execute_command("WAITAOF", 1, 0, 5000)
        client.close()
        home.kill(sign)
    client = home.start()
    assert client.mget(str(signal.SIGTERM), str(signal.SIGKILL)) == [b"1", b"1"]
    client.close()


def test_it_starts_empty_where_its_data_can_not_be_read(home: Home) -> None:
    client = home.start()
    client.set("a", "1")
    client.close()
    home.kill(signal.SIGTERM)
    broken = next((home.path / "valkey" / "appendonlydir").glob("*.incr.aof"))
    broken.write_bytes(b"*3\r\n$3\r\nSET\r\nrubbish\r\n" * 20)
    home.start()  # refuses, and says so in its log
    assert not valkey.answers(home.socket)
    client = home.start()
    assert client.dbsize() == 0
    client.close()
    assert list(home.path.glob("valkey.broken-*"))


def test_it_refuses_a_path_that_a_socket_can_not_have() -> None:
    with pytest.raises(valkey.ValkeyFailed, match="108 bytes long, 107 are allowed.*MAILWEIR_HOME"):
        valkey.check(Path("/" + "x" * 107))
    valkey.check(Path("/" + "x" * 106))


def test_nothing_answers_where_nothing_listens(tmp_path: Path) -> None:
    assert valkey.answers(tmp_path / "none.sock") is False
    assert valkey.last_words(tmp_path) == ""


def test_the_old_log_is_kept_once(tmp_path: Path) -> None:
    valkey.prepare(tmp_path)
    valkey.log_file(tmp_path).write_text("first")
    valkey.prepare(tmp_path)
    assert (tmp_path / "logs" / "valkey.log.1").read_text() == "first"
    assert not valkey.log_file(tmp_path).exists()
    assert os.listdir(tmp_path / "valkey") == []
