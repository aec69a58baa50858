"""People who log in to the dashboard: what they may, and the changes that administrators make to them.

Role and permissions are Django's groups and permissions (access/roles.py says what a role may). Each change
is one transaction with its audit row. Promises: there is always an administrator who can log in, whoever
changes whom at the same time; nobody takes the role from themselves. Never sets a password: a
new person gets a link to choose one (dashboard/auth/welcome.py).
"""

from __future__ import annotations

from django.contrib.auth.models import User

from queueapp.access import roles
from queueapp.models import SCOPES

APP = "queueapp"


def scopes_of(user: User) -> frozenset[str]:
    """By role and by single permissions."""
    if not user.is_active:
        return frozenset()
    if user.is_superuser:
        return frozenset(SCOPES)
    found = set().union(*(roles.ROLES[name].scopes for name in _names(user))) | permissions_of(user)
    return frozenset(SCOPES) if "admin" in found else frozenset(found)


def permissions_of(user: User) -> set[str]:
    """The single ones, beside the role."""
    own = user.user_permissions.filter(content_type__app_label=APP, codename__in=SCOPES)
    return set(own.values_list("codename", flat=True))


def role_of(user: User) -> roles.Role:
    return roles.strongest(_names(user))


def _names(user: User) -> set[str]:
    """Staff without a role are operators, as they were before there were roles."""
    if user.is_superuser:
        return {roles.ADMINISTRATOR.name}
    names = set(user.groups.filter(name__in=roles.ROLES).values_list("name", flat=True))
    return names or {roles.OPERATOR.name if user.is_staff else roles.VIEWER.name}
