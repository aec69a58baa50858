"""What the person who starts a benchmark may choose, and the systems that they can name."""

from __future__ import annotations

from dataclasses import dataclass

from bench.systems.base import Contender
from bench.systems.django_mailers import Mailer, MailerOnPostgres, PostOffice, PostOfficeOnPostgres
from bench.systems.exim import Exim
from bench.systems.mailweir import OnPostgres, OnSqlite
from bench.systems.postfix import Postfix, PostfixAtBest

OURS: dict[str, list[type[Contender]]] = {
    "sqlite": [OnSqlite],
    "postgres": [OnPostgres],
    "both": [OnSqlite, OnPostgres],
}
PEERS: dict[str, list[type[Contender]]] = {
    "postfix": [Postfix, PostfixAtBest],
    "postfix-shipped": [Postfix],
    "postfix-best": [PostfixAtBest],
    "exim": [Exim],
    "post_office": [PostOffice, PostOfficeOnPostgres],
    "django-mailer": [Mailer, MailerOnPostgres],
}
ALL_PEERS = ("postfix", "exim", "post_office", "django-mailer")


def databases(name: str) -> tuple[str, ...]:
    """Those that `--db` asks for."""
    return ("sqlite", "postgres") if name == "both" else (name,)


@dataclass(frozen=True)
class Options:
    """`scale` shrinks the number of mails; `is_full` asks for the sizes that take an hour."""

    runs: int = 5
    scale: float = 1.0
    database: str = "both"
    peers: tuple[str, ...] = ALL_PEERS
    is_full: bool = False

    def scaled(self, n: int, least: int = 100) -> int:
        return max(least, round(n * self.scale))

    def contenders(self) -> list[type[Contender]]:
        """Ours first; of a peer that uses a database, on those that ours use."""
        others = {"sqlite": "postgres", "postgres": "sqlite"}.get(self.database, "no other")
        chosen = list(OURS[self.database])
        for name in self.peers:
            chosen += [
                each for each in PEERS[name] if each not in chosen and not each.label.endswith(f" {others}")
            ]
        return chosen


def peers_named(text: str) -> tuple[str, ...]:
    """ "postfix,exim" to names; "none" is none. Raises ValueError that names the wrong one."""
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if names == ("none",):
        return ()
    for name in names:
        if name not in PEERS:
            raise ValueError(f"there is no peer {name!r}: choose from {', '.join(PEERS)}, or none")
    return names
