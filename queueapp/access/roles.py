"""The roles of people: what each may do, in the scopes that actions check.

A role is a group of Django's with the name below, so that whatever brings people along (a command, LDAP,
OpenID) can put them into it; what the group may is said here and nowhere else, so that a new scope needs
no migration. The administrator is Django's superuser. Who has no role is a viewer.
"""

from __future__ import annotations

from dataclasses import dataclass

from queueapp.models import SCOPES


@dataclass(frozen=True, slots=True)
class Role:
    """`scopes` are what it may do; `sentence` says it to people."""

    name: str
    title: str
    scopes: frozenset[str]
    sentence: str


VIEWER = Role("viewer", "Viewer", frozenset(("read",)), "Sees the queue, and no mail's content.")
CAMPAIGNS = Role(
    "campaigns",
    "Campaign staff",
    frozenset(("read", "submit", "campaigns", "export")),
    "Runs campaigns and sees what became of them; reads no mail of others.",
)
OPERATOR = Role(
    "operator",
    "Operator",
    frozenset(("read", "bodies", "submit", "operate", "export")),
    "Acts on the queue, and reads mails to find out what is wrong.",
)
ADMINISTRATOR = Role(
    "administrator", "Administrator", frozenset(SCOPES), "Does everything: people, keys, limits, the audit."
)
ROLES = {role.name: role for role in (VIEWER, CAMPAIGNS, OPERATOR, ADMINISTRATOR)}


def strongest(names: set[str]) -> Role:
    """The one to show where somebody is in several groups."""
    return next((role for role in reversed(ROLES.values()) if role.name in names), VIEWER)
