"""Lines of the classifier that administrators add: made, tried, switched on and off, edited, deleted.

Promises: a line counts only where exactly what it says was tried on the last day's attempts
(stats/trials.py); a line that is changed is off until the change was tried. Each change, refused ones too,
leaves an audit row, and the revision grows in its transaction, so runners hear of it within seconds. What a
line may not do is checked here and promised by mail/classify.py: it never makes a temporary reply permanent
or the reverse.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace
from typing import Any

from django.db import IntegrityError, transaction

from queueapp.access.change import Actor, Missing, Taken, Wrong, allow, audited, known
from queueapp.mail.address import AddressError, parse_address
from queueapp.mail.patterns import PatternError, check
from queueapp.mail.providers import PROVIDERS
from queueapp.models import ReplyRule, ReplyTrial, revision
from queueapp.models.reply_rule import OWN_CLASSES, digest_of, line_of
from queueapp.stats import trials

MOST = 200
MOST_TEXTS, LONGEST_TEXT, MOST_CODES = 20, 200, 10
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,47}\Z")
_FIELD = {"class": "reply_class", "text": "texts"}


@dataclass(frozen=True, slots=True)
class Asked:
    """A line as somebody asks for it; `checked` makes it what a row may hold."""

    name: str
    reply_class: str
    texts: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    stage: str = ""
    delay: int | None = None
    provider: str = ""
    site: str = ""
    note: str = ""
    position: int = 100

    @property
    def values(self) -> dict[str, Any]:
        found = {each.name: getattr(self, each.name) for each in fields(self)}
        return {**found, "texts": list(self.texts), "codes": list(self.codes)}


def asked_of(row: ReplyRule) -> Asked:
    values = {each.name: getattr(row, each.name) for each in fields(Asked)}
    return Asked(**{**values, "texts": tuple(row.texts), "codes": tuple(row.codes)})


def checked(asked: Asked) -> Asked:
    """In the one form that is stored. Raises Wrong with the field."""
    made = replace(
        asked,
        name=asked.name.strip(),
        texts=_distinct(" ".join(text.lower().split()) for text in asked.texts),
        codes=_distinct(" ".join(code.split()) for code in asked.codes),
        site=_domain(asked.site.strip()),
        note=asked.note.strip(),
    )
    if not _NAME.match(made.name):
        raise Wrong("name", f"name {made.name[:60]!r} is not 1 to 48 of a-z, 0-9, - and _")
    if made.reply_class not in OWN_CLASSES:
        raise Wrong("reply_class", f"class {made.reply_class[:40]!r} is not one of {', '.join(OWN_CLASSES)}")
    if len(made.texts) > MOST_TEXTS or any(len(text) > LONGEST_TEXT for text in made.texts):
        raise Wrong("texts", f"a line holds at most {MOST_TEXTS} texts of {LONGEST_TEXT} characters each")
    if not all(text.isprintable() for text in made.texts):
        raise Wrong("texts", "a text holds a character that can't be printed")
    if len(made.codes) > MOST_CODES:
        raise Wrong("codes", f"a line holds at most {MOST_CODES} codes")
    if not made.texts and not any(len(code) > 1 for code in made.codes):
        raise Wrong("texts", "a line needs a text, or at least a code such as 421 or 550 5.4.1")
    if any(code.startswith("2") for code in made.codes):
        raise Wrong("codes", "a reply that begins with 2 is never judged by a line: the mail was taken")
    if made.provider and made.site:
        raise Wrong("site", "a line holds for a provider or for a site, not for both")
    if made.provider and made.provider in PROVIDERS and not PROVIDERS[made.provider].hosts:
        raise Wrong(
            "provider", f"{PROVIDERS[made.provider].title} has no MX hosts of its own: name a site instead"
        )
    if not made.note.isprintable() or len(made.note) > 200:
        raise Wrong("note", "a note is at most 200 printable characters")
    if not 0 <= made.position <= 9999:
        raise Wrong("position", f"position {made.position} is not 0 to 9999")
    try:
        check(line_of(made.values))
    except PatternError as error:
        raise Wrong(_FIELD.get(error.field, error.field), str(error)) from None
    return made


def create(actor: Actor, asked: Asked, *, is_on: bool = False) -> ReplyRule:
    """Switched off, unless it was tried and is wanted on."""
    with (
        audited(actor, "admin", "reply_rule.create", f"own:{asked.name[:48]}") as detail,
        transaction.atomic(),
    ):
        made = checked(asked)
        if ReplyRule.objects.count() >= MOST:
            raise Taken(
                f"There are {MOST} lines already, which is the most: delete one that decides nothing."
            )
        if is_on:
            _must_be_tried(made)
        try:
            with transaction.atomic():
                row = ReplyRule.objects.create(**made.values, is_on=is_on, made_by=actor.name[:150])
        except IntegrityError:
            raise Taken(f"There is a line own:{made.name} already.") from None
        detail |= _told(made, is_on=is_on)
        revision.bump(revision.REPLY_RULES)
    return row


def edit(actor: Actor, pk: int, asked: Asked, *, is_on: bool | None = None) -> ReplyRule:
    """A line that decides otherwise is off until that was tried; `is_on` None leaves it where that allows."""
    with audited(actor, "admin", "reply_rule.edit", f"reply rule {pk}") as detail:
        row = _row(pk)
        before, made = asked_of(row), checked(asked)
        is_same = digest_of(before.values) == digest_of(made.values)
        if is_on and not (row.is_on and is_same):
            _must_be_tried(made)
        stays_on = row.is_on and (is_same or _is_tried(made)) if is_on is None else is_on
        detail |= {"target": f"own:{row.name}", "was": _told(before, is_on=row.is_on)}
        for name, value in made.values.items():
            setattr(row, name, value)
        row.is_on = stays_on
        try:
            with transaction.atomic():
                row.save()
        except IntegrityError:
            raise Taken(f"There is a line own:{made.name} already.") from None
        detail |= _told(made, is_on=row.is_on)
        revision.bump(revision.REPLY_RULES)
    return row


def switch(actor: Actor, pk: int, *, is_on: bool) -> ReplyRule:
    """On only where it was tried as it stands."""
    with audited(actor, "admin", f"reply_rule.{'on' if is_on else 'off'}", f"reply rule {pk}") as detail:
        row = _row(pk)
        detail["target"] = f"own:{row.name}"
        if is_on:
            _must_be_tried(asked_of(row))
        row.is_on = is_on
        row.save(update_fields=["is_on", "changed_at"])
        revision.bump(revision.REPLY_RULES)
    return row


def delete(actor: Actor, pk: int) -> None:
    """What it has decided stays decided; `own:name` stays in those attempts."""
    with audited(actor, "admin", "reply_rule.delete", f"reply rule {pk}") as detail:
        row = _row(pk)
        detail |= {"target": f"own:{row.name}", **_told(asked_of(row), is_on=row.is_on)}
        row.delete()
        revision.bump(revision.REPLY_RULES)


def attempt(actor: Actor, asked: Asked) -> ReplyTrial:
    """Try a line, saved or not, on the last day's attempts."""
    allow(actor, "admin", "reply_rule.try", f"own:{asked.name[:48]}")
    made = checked(asked)
    if ReplyTrial.objects.filter(ended_at=None).count() >= trials.MOST_OPEN:
        raise Taken(f"{trials.MOST_OPEN} trials are under way: wait until one has ended.")
    trial = trials.begin(made.values, actor.name)
    with audited(actor, "admin", "reply_rule.try", f"own:{made.name}") as detail:
        detail |= {"trial": trial.pk, **_told(made)}
    return trial


def _is_tried(asked: Asked) -> bool:
    tried = ReplyTrial.objects.filter(digest=digest_of(asked.values)).order_by("-pk")[:10]
    return any(trial.counts for trial in tried)


def _must_be_tried(asked: Asked) -> None:
    if not _is_tried(asked):
        raise Taken(f"The line own:{asked.name} counts only after it was tried as it stands: try it first.")


def _row(pk: int) -> ReplyRule:
    row = ReplyRule.objects.select_for_update().filter(pk=known(pk)).first()
    if row is None:
        raise Missing(f"There is no line of your own with the number {pk}.")
    return row


def _told(asked: Asked, **more: Any) -> dict[str, Any]:
    return {**{name: value for name, value in asked.values.items() if value not in ("", [], None)}, **more}


def _distinct(texts: Any) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for text in texts if text))


def _domain(site: str) -> str:
    """A domain of MX hosts, in lower case. Raises Wrong."""
    if not site:
        return ""
    try:
        return parse_address(f"x@{site.strip('.')}").domain.lower()
    except AddressError as error:
        raise Wrong("site", f"site {site[:80]!r} is not a domain of MX hosts: {error}") from None
