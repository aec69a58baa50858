"""What settings hold that is more than a number or a text, and the refusal of what they may not hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import time


class WrongSetting(ValueError):
    """A setting holds a value that is not allowed."""

    def __init__(self, name: str, value: str, allowed: str) -> None:
        self.name, self.value, self.allowed = name, value, allowed
        super().__init__(f"{name}={value!r} is not allowed: {allowed}.")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens. Port 0 takes a free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class RouteSpec:
    """The default way out. `kind` is `sandbox`, `mx` or `relay`; the rest belongs to a relay."""

    kind: str
    host: str = ""
    port: int = 25
    username: str = ""
    password: str = field(default="", repr=False)
    tls: str = "opportunistic"


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `n` mails in any `per` seconds."""

    n: int
    per: int

    def __str__(self) -> str:
        return f"{self.n}/{ {1: 's', 60: 'm', 3600: 'h', 86400: 'd'}[self.per] }"


@dataclass(frozen=True, slots=True)
class Hours:
    """A time of the day, by the clock of `zone`; it may pass midnight."""

    begin: time
    end: time
    zone: str
