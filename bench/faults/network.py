"""A network of hosts on one machine: network namespaces, each with a cable to a switch of their own.

    with Network(["a", "b", "db"]) as network:
        host = network["a"]
        host.run(function)      in a thread that lives there: its sockets and processes belong to that host
        host.unplug(); host.plug()

Needs root and `ip` (Debian package iproute2). Nothing of the machine's own network is touched, and all
namespaces go with the `with` block.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def why_missing() -> str:
    """Why hosts can't be made on this machine; "" where they can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if shutil.which("ip") is None:
        return "ip is not installed (Debian package iproute2)"
    name = f"mw{os.getpid()}-try"
    if subprocess.run(["ip", "netns", "add", name], check=False, capture_output=True).returncode:
        return "this machine lets nobody make network namespaces"
    _ip("netns", "del", name)
    return ""


class Host:
    """One namespace. What is started through `run` stays in it."""

    def __init__(self, name: str, namespace: str, address: str, switch: str) -> None:
        self.name, self.namespace, self.address = name, namespace, address
        self._switch = switch
        # The kernel ends processes of ours with the thread that started them: it lives as long as the host.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name, initializer=self.enter)

    def enter(self) -> None:
        """Move the calling thread here, for good."""
        with open(f"/run/netns/{self.namespace}") as place:
            if _libc.setns(place.fileno(), _CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), f"the namespace {self.namespace} can't be entered")

    def submit(self, function: Callable[[], T]) -> Future[T]:
        return self._thread.submit(function)

    def run(self, function: Callable[[], T]) -> T:
        return self.submit(function).result()

    def unplug(self) -> None:
        """From now on packets vanish, both ways; nobody is told."""
        _ip("-n", self._switch, "link", "set", f"to-{self.name}", "down")

    def plug(self) -> None:
        _ip("-n", self._switch, "link", "set", f"to-{self.name}", "up")

    def close(self) -> None:
        self._thread.shutdown()


class Network:
    """Hosts get 10.99.0.1 and so on, in order. Names have at most eight letters."""

    def __init__(self, names: list[str]) -> None:
        self._prefix = f"mw{os.getpid()}"
        self._switch = f"{self._prefix}-switch"
        self._hosts = {
            name: Host(name, f"{self._prefix}-{name}", f"10.99.0.{number}", self._switch)
            for number, name in enumerate(names, 1)
        }
        self._made: list[str] = []

    def __getitem__(self, name: str) -> Host:
        return self._hosts[name]

    def __enter__(self) -> Network:
        try:
            self._make(self._switch)
            _ip("-n", self._switch, "link", "add", "bridge", "type", "bridge")
            _ip("-n", self._switch, "link", "set", "bridge", "up")
            for host in self._hosts.values():
                self._connect(host)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for host in self._hosts.values():
            host.close()
        for namespace in reversed(self._made):
            with contextlib.suppress(subprocess.CalledProcessError):
                _ip("netns", "del", namespace)
        self._made.clear()

    def _make(self, namespace: str) -> None:
        _ip("netns", "add", namespace)
        self._made.append(namespace)
        _ip("-n", namespace, "link", "set", "lo", "up")

    def _connect(self, host: Host) -> None:
        self._make(host.namespace)
        port = f"to-{host.name}"
        peer = ("peer", "name", "eth0", "netns", host.namespace)
        _ip("-n", self._switch, "link", "add", port, "type", "veth", *peer)
        _ip("-n", self._switch, "link", "set", port, "master", "bridge", "up")
        _ip("-n", host.namespace, "addr", "add", f"{host.address}/24", "dev", "eth0")
        _ip("-n", host.namespace, "link", "set", "eth0", "up")


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)
