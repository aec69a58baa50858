"""The mails of the benchmarks: the same for every system, of one size, spread over the domains.

Each has a Message-ID of its own, so that a sink that reads them can tell a mail from its repetition.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

SENDER = "bench@sender.test"
_LINE = b"The quick brown fox jumps over the lazy dog, and the dog goes on sleeping.\r\n"


@dataclass(frozen=True)
class Mails:
    """`n` mails of `size` bytes to `n_domains` domains in turn, so that every domain has as many."""

    n: int
    n_domains: int = 50
    size: int = 5120
    prefix: str = "d"

    def recipient(self, number: int) -> str:
        return f"user{number}@{self.prefix}{number % self.n_domains}.bench.test"

    def content(self, number: int) -> bytes:
        """With CRLF line ends; no line begins with a dot, so it goes over SMTP as it is."""
        head = (
            f"From: Bench <{SENDER}>\r\nTo: <{self.recipient(number)}>\r\nSubject: Mail {number}\r\n"
            f"Date: Tue, 24 Nov 2026 12:00:00 +0000\r\nMessage-ID: <{number}.{self.prefix}@bench.test>\r\n"
            "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n"
        ).encode()
        lines = max(1, (self.size - len(head)) // len(_LINE))
        rest = max(0, self.size - len(head) - lines * len(_LINE) - 2)
        return head + _LINE * lines + b"x" * rest + b"\r\n"

    def share(self, part: int, n_parts: int) -> Iterator[int]:
        """The numbers of one of `n_parts` loaders."""
        return iter(range(part, self.n, n_parts))

    def arguments(self) -> list[str]:
        """For a loader in a process of its own."""
        return [str(self.n), str(self.n_domains), str(self.size), self.prefix]

    @classmethod
    def from_arguments(cls, texts: list[str]) -> Mails:
        n, n_domains, size, prefix = texts
        return cls(int(n), int(n_domains), int(size), prefix)
