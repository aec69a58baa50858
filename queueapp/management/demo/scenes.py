"""The cast of the demo: domains, recipients, senders, and which scenario of the sandbox each one meets.

All domains end in .test, which no real domain can (RFC 6761). The mix is weighted as a busy
sender's day is: most mail arrives, a few providers slow us down, some addresses are gone.
"""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scene:
    """`weight` is the share in per mille. `domains` misbehave as a whole; a `word` only for an address."""

    name: str
    weight: int
    happens: str
    domains: tuple[str, ...] = ()
    word: str = ""


# Where most mail goes, biggest first: their share falls as it does in life.
TOWNS = (
    "postbox.test", "bluemail.test", "northwind.test", "kontor.test", "harbour.test", "lindenhof.test",
    "acme.test", "riverside.test", "openfield.test", "stadtwerk.test", "brightside.test", "silvertree.test",
    "quayside.test", "oldmill.test", "marketsquare.test", "greenhill.test", "m\u00fchle.test", "foundry.test",
)  # fmt: skip

SCENES = (
    Scene("ok", 734, "is delivered"),
    Scene("greylist", 50, "is delivered after a minute", ("patient.greylist.test", "campus.greylist.test")),
    Scene("throttle", 40, "5 a minute are delivered", ("bigpost.throttle.test", "webmail.throttle.test")),
    Scene("defer", 35, "stays deferred: 451", ("oldserver.defer.test", "branch.defer.test")),
    Scene("nouser", 30, "bounces: no such user", ("former.nouser.test",)),
    Scene("nouser", 20, "bounces: no such user", word="nouser"),
    Scene("full", 20, "stays deferred: mailbox full", word="full"),
    Scene("busy", 20, "stays deferred: 421, too many connections", ("rush.busy.test",)),
    Scene("blocked", 20, "bounces or waits: our IP is on a blocklist", ("fortress.blocked.test",)),
    Scene("spam", 15, "bounces: taken for spam", ("strict.spam.test",)),
    Scene("big", 8, "bounces: too large", ("tiny.big.test",)),
    Scene("slow", 8, "is delivered after 20 s", ("satellite.slow.test",)),
)  # fmt: skip

FIRST = (
    "anna ben chiara dmitri elif felix grace hugo ines jan keiko lars mara noor otto pia quinn rosa".split()
)
LAST = (
    "adler brandt costa dubois evans fischer garcia hansen ito jensen keller lopez meyer novak okoro".split()
)
SENDERS = (
    ("Harbour Books", "orders@shop.demo.test"),
    ("Harbour Books", "newsletter@shop.demo.test"),
    ("Accounts", "billing@finance.demo.test"),
    ("Monitoring", "alerts@ops.demo.test"),
    ("Help desk", "support@help.demo.test"),
    ("City library", "library@city.demo.test"),
)


@dataclass(frozen=True, slots=True)
class Recipient:
    address: str
    scene: Scene


class Casting:
    """Chooses recipients by weight; the same seed gives the same cast."""

    def __init__(self, seed: int | None = None) -> None:
        self.random = random.Random(seed)  # noqa: S311
        self._weights = [scene.weight for scene in SCENES]
        self._town_weights = [1 / (place + 1) for place in range(len(TOWNS))]

    def recipient(self) -> Recipient:
        scene = self.random.choices(SCENES, self._weights)[0]
        return Recipient(f"{self._local(scene.word)}@{self._domain(scene)}", scene)

    def recipients(self) -> tuple[Recipient, ...]:
        """Most mails go to one; some to up to four who all take it, such as a team."""
        first = self.recipient()
        if first.scene.name != "ok" or self.random.random() > 0.08:
            return (first,)
        n = self.random.randint(1, 3)
        others = {self._local("") + "@" + self._domain(first.scene) for _ in range(n)} - {first.address}
        return (first, *(Recipient(address, first.scene) for address in sorted(others)))

    def _local(self, word: str) -> str:
        name = f"{self.random.choice(FIRST)}.{self.random.choice(LAST)}{self.random.randint(1, 999)}"
        return f"{name}+{word}" if word else name

    def _domain(self, scene: Scene) -> str:
        if scene.domains:
            return self.random.choice(scene.domains)
        return self.random.choices(TOWNS, self._town_weights)[0].encode("idna").decode()


def all_domains() -> list[str]:
    """Every domain that mail of the demo can go to, the senders' too: they get the bounce reports."""
    own = [domain for scene in SCENES for domain in scene.domains]
    senders = sorted({address.partition("@")[2] for _, address in SENDERS})
    return [*(town.encode("idna").decode() for town in TOWNS), *own, *senders]
