"""MTA-STS: what a domain says of the TLS of its MX hosts (RFC 8461). The texts and their meaning, no I/O.

Promises: what strangers wrote is read strictly and within bounds; a text that is no policy is a
`WrongPolicy` that says why. Unknown fields are passed over, as the standard asks.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

Mode = Literal["enforce", "testing", "none"]
MAX_SIZE = 64_000
LONGEST = 31_557_600
"""Seconds; RFC 8461 section 3.2 allows no more."""
_MAX_MX = 100

_ID = re.compile(r"[A-Za-z0-9]{1,32}")
_FIELD = re.compile(r"([A-Za-z0-9][A-Za-z0-9_.-]{0,31})[ \t]*:[ \t]*(.*?)[ \t]*")
_PATTERN = re.compile(r"(?=.{1,253}\Z)(?:\*\.)?[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})+")


class WrongPolicy(ValueError):
    """A text that is no policy; what is said is fit for a row."""


@dataclass(frozen=True, slots=True)
class Policy:
    """`domain` whose it is; `mx` are names or `*.name`, in lower case; `max_age` in seconds."""

    domain: str
    mode: Mode
    mx: tuple[str, ...]
    max_age: int

    def allows(self, host: str) -> bool:
        """Whether an MX host is one of those named. `*` stands for one label (RFC 8461 section 4.1)."""
        name = host.rstrip(".").lower()
        return name in self.mx or f"*.{name.partition('.')[2]}" in self.mx


def record_id(texts: Sequence[str]) -> str:
    """The id in the `_mta-sts` TXT records; "" unless exactly one of them is of this kind (section 3.1)."""
    ours = [text for text in texts if re.match(r"v=STSv1[ \t]*(?:;|\Z)", text)]
    if len(ours) != 1:
        return ""
    for part in ours[0].split(";")[1:]:
        name, _, value = part.strip().partition("=")
        if name.strip() == "id":
            return value.strip() if _ID.fullmatch(value.strip()) else ""
    return ""


def parse(domain: str, text: bytes) -> Policy:
    """Read the file that the domain publishes (section 3.2). Raises WrongPolicy."""
    if len(text) > MAX_SIZE:
        raise WrongPolicy(f"it is larger than {MAX_SIZE} octets")
    found: dict[str, str] = {}
    mx: list[str] = []
    for number, line in enumerate(text.decode("utf-8", "replace").splitlines(), 1):
        field = _FIELD.fullmatch(line)
        if not field:
            if line.strip():
                raise WrongPolicy(f"line {number} is not `name: value`")
        elif field[1] == "mx":
            mx.append(field[2].lower())
        else:
            found.setdefault(field[1], field[2])
    if found.get("version") != "STSv1":
        raise WrongPolicy(f"its version is {found.get('version', 'missing')[:40]!r}, not 'STSv1'")
    mode = found.get("mode", "missing")
    if mode not in ("enforce", "testing", "none"):
        raise WrongPolicy(f"its mode is {mode[:40]!r}, not enforce, testing or none")
    age = found.get("max_age", "missing")
    if not re.fullmatch(r"[0-9]{1,10}", age):
        raise WrongPolicy(f"its max_age is {age[:40]!r}, no number of seconds")
    wrong = [each for each in mx if not _PATTERN.fullmatch(each)]
    if wrong:
        raise WrongPolicy(f"its mx {wrong[0][:80]!r} is no pattern of host names")
    if mode != "none" and not mx:
        raise WrongPolicy(f"its mode is {mode}, and it names no mx")
    return Policy(domain, cast(Mode, mode), tuple(mx[:_MAX_MX]), min(int(age), LONGEST))
