"""The lines of the classifier as people and programs see them: shipped, own, and the codes that decided.

Reads own lines (at most a few hundred rows) and a day of hours of lines; the shipped ones are in memory. So
the cost is the same however many attempts there are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.urls import reverse
from django.utils import timezone

from queueapp.engine import own_lines
from queueapp.mail.classify import CLASSES, Account, Table, table
from queueapp.mail.codes import ENHANCED, PLAIN
from queueapp.mail.patterns import BY_NAME, PATTERNS, STAGES, Pattern
from queueapp.mail.providers import PROVIDERS
from queueapp.mail.reply import Reply
from queueapp.models import ReplyRule
from queueapp.models.reply_rule import decided_since

DAY = timedelta(hours=24)
KINDS = {"own": "yours", "pattern": "shipped", "code": "status code"}
# What our own side says where no server did.
_OURS = {
    "age": "The mail became older than it may be.",
    "client": "Our own client refused to send this mail to that server: it lacks what the mail needs.",
    "dns": "The mail servers of the domain could not be looked up, or there are none.",
    "drained": "The addresses that may send this mail are drained.",
    "internal": "A fault of ours, which the log tells.",
    "journal": "The journal on our own disk could not be written.",
    "mta-sts": "The domain's TLS policy (MTA-STS) was not met.",
    "no-body": "The source of the mail is gone.",
    "operation": "A person decided so.",
    "reaped": "The runner that had the mail died.",
    "requiretls": "The sender demands TLS all the way, and there was none.",
    "signing": "The mail could not be signed.",
    "site-backoff": "The site backs off: nothing was tried.",
    "suspension": "The site has blocked our address: nothing was tried.",
    "warm-up": "The address is warmed up, and has sent what it may today.",
}
_STAGE = "No reply came that could be read: the conversation broke off at this stage, or never began."


@dataclass(frozen=True, slots=True)
class Entry:
    """One line. `kind` is a key of KINDS, or "ours" for what no server said."""

    rule: str
    kind: str
    name: str
    reply_class: str = ""
    provider: str = ""
    texts: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    stage: str = ""
    sure: bool = False
    delay: int | None = None
    example: str = ""
    note: str = ""
    n_day: int = 0
    row: ReplyRule | None = None
    is_permanent: bool | None = None
    search: str = field(default="", repr=False)

    @property
    def url(self) -> str:
        return url_of(self.rule)

    @property
    def info(self) -> Any:
        return CLASSES.get(self.reply_class)

    @property
    def title(self) -> str:
        known = PROVIDERS.get(self.provider)
        return known.title if known else self.row.site if self.row else ""

    @property
    def lasts(self) -> str:
        """Whether its replies are final: that is always the first digit's word."""
        if self.is_permanent is None:
            return "as the code says"
        return "permanent" if self.is_permanent else "temporary"


def url_of(rule: str) -> str:
    """The page of a line, by what stands in `Attempt.rule`; "" for what is none."""
    is_line = rule.partition(":")[0] in KINDS or rule in _OURS or _is_stage(rule)
    return reverse("replies-line", args=[rule]) if is_line else ""


def example_of(rule: str) -> str:
    """The sample of a shipped line, else ""."""
    line = BY_NAME.get(rule.removeprefix("pattern:")) if rule.startswith("pattern:") else None
    return line.example if line else ""


def entries() -> list[Entry]:
    """All lines, what decided most in the last 24 hours first, then own lines, then as in the files."""
    n_day = decided_since(timezone.now() - DAY)
    own = [_own(row, n_day) for row in ReplyRule.objects.order_by("position", "name")]
    shipped = [_shipped(line, n_day) for line in PATTERNS]
    codes = [
        _code(rule, n)
        for rule, n in n_day.items()
        if rule.startswith("code:")
    ]  # fmt: skip
    return sorted([*own, *shipped, *codes], key=lambda each: (-each.n_day, each.kind != "own"))


def entry(rule: str) -> Entry | None:
    """One line by its name in an attempt; a code that is in no table is a line too, as far as it goes."""
    if not rule.isprintable():  # nothing that a row or a table could have
        return None
    kind, _, name = rule.partition(":")
    n_day = decided_since(timezone.now() - DAY, rule)
    if kind == "own":
        row = ReplyRule.objects.filter(name=name).first()
        return _own(row, n_day) if row else None
    if kind == "pattern":
        return _shipped(BY_NAME[name], n_day) if name in BY_NAME else None
    if kind == "code" and _is_code(name):
        return _code(rule, n_day.get(rule, 0))
    note = _STAGE if _is_stage(rule) else _OURS.get(rule)
    return Entry(rule, "ours", rule, note=note, n_day=n_day.get(rule, 0)) if note else None


def found(
    lines: list[Entry], words: str = "", reply_class: str = "", provider: str = "", kind: str = ""
) -> list[Entry]:
    """Those with all the words anywhere in them, of that class, provider and kind."""
    parts = words.lower().split()
    return [
        each
        for each in lines
        if (not reply_class or each.reply_class == reply_class)
        and (not provider or each.provider == provider)
        and (not kind or each.kind == kind)
        and all(part in each.search for part in parts)
    ]


def account(text: str, stage: str = "", host: str = "") -> tuple[Reply, Account]:
    """What a reply means, by the lines that count now. Raises ReplyError."""
    reply = Reply.parse(text)
    own_lines.look()
    return reply, table().explain(reply, stage, host)


def _own(row: ReplyRule, n_day: dict[str, int]) -> Entry:
    line = row.line
    return Entry(
        line.rule, "own", row.name, row.reply_class, row.provider, line.phrases, line.codes, row.stage, True,
        row.delay, "", row.note, n_day.get(line.rule, 0), row, line.is_permanent,
        _searched(line.rule, row.reply_class, row.provider, row.site, row.note, *row.texts, *row.codes),
    )  # fmt: skip


def _shipped(line: Pattern, n_day: dict[str, int]) -> Entry:
    return Entry(
        line.rule, "pattern", line.name, line.reply_class, line.provider, line.phrases, line.codes,
        line.stage, line.sure, line.delay, line.example, "", n_day.get(line.rule, 0), None, line.is_permanent,
        _searched(line.rule, line.reply_class, line.provider, line.example, *line.phrases, *line.codes),
    )  # fmt: skip


def _code(rule: str, n: int) -> Entry:
    name = rule.partition(":")[2]
    code, _, stage = name.partition(" ")
    # As delivery would ask: an enhanced code, or a plain one with or without its stage.
    reply = Reply(int(code[0]) * 100, code, "") if "." in code else Reply(int(code), "", "")
    reply_class = Table().classify(reply, stage).reply_class
    # Of an enhanced code the three digits before it are not known; where they matter, the table has an entry.
    return Entry(
        rule, "code", name, reply_class, codes=(code,), stage=stage, n_day=n, is_permanent=code[0] == "5",
        note="" if _is_known(code) else "This code is in no table: its first digit is all that it says.",
        search=_searched(rule, reply_class),
    )  # fmt: skip


def _is_stage(rule: str) -> bool:
    return rule.startswith("stage:") and rule.removeprefix("stage:") in STAGES


def _is_known(code: str) -> bool:
    return code in PLAIN or code in ENHANCED or f"x{code[1:]}" in ENHANCED


def _is_code(name: str) -> bool:
    code = name.partition(" ")[0]
    return code[:1] in "2345" and len(name) <= 20 and code.replace(".", "").isdigit() and (
        "." in code or len(code) == 3
    )  # fmt: skip


def _searched(*texts: str) -> str:
    title = PROVIDERS[texts[2]].title if len(texts) > 2 and texts[2] in PROVIDERS else ""
    return " ".join((*texts, title)).lower()
