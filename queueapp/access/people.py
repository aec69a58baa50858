"""People who log in to the dashboard: what they may, and the changes that administrators make to them.

Role and permissions are Django's groups and permissions (access/roles.py says what a role may). Each change
is one transaction with its audit row. Promises: there is always an administrator who can log in, whoever
changes whom at the same time; nobody takes the role from themselves. Never sets a password: a
new person gets a link to choose one (dashboard/auth/welcome.py).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group, Permission, User
from django.db import IntegrityError
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice

from queueapp.access import roles
from queueapp.access.change import Actor, Missing, Taken, Wrong, audited, known
from queueapp.models import SCOPES

APP = "queueapp"
_NAME = re.compile(r"[\w][\w.@+-]{0,99}")


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


def named(name: str) -> User:
    """Raises Missing."""
    found = User.objects.filter(username=name[:150]).first() if name.isprintable() else None
    if found is None:
        raise Missing(f"There is no person named {name[:100]!r}; `list` shows those that there are.")
    return found


def numbered(pk: int) -> User:
    """Raises Missing."""
    found = User.objects.filter(pk=known(pk)).first()
    if found is None:
        raise Missing(f"There is no person {pk}.")
    return found


def create(actor: Actor, name: str, role: str, permissions: Sequence[str] = ()) -> User:
    """Somebody who can't log in yet, for want of a password. Raises AccessError."""
    try:
        with audited(actor, "admin", "person.create", name) as detail:
            if not _NAME.fullmatch(name):
                raise Wrong(
                    "name", f"{name[:100]!r} is no usable name: 1 to 100 letters, digits and . _ @ + -, and "
                    "a letter or digit first."
                )  # fmt: skip
            name = User.normalize_username(name)
            if User.objects.filter(username__iexact=name).exists():
                raise Taken(f"There is a person named {name!r} already.")
            user = User(username=name)
            user.set_unusable_password()
            user.save()
            _give(user, role, permissions)
            detail |= {"role": role, "permissions": sorted(permissions)}
    except IntegrityError:
        raise Taken(f"There is a person named {name!r} already.") from None
    return user


def change_role(actor: Actor, user: User, role: str, permissions: Sequence[str] | None = None) -> None:
    """It counts from the person's next request on. `permissions` None: as they are. Raises AccessError."""
    with audited(actor, "admin", "person.role", user.username) as detail:
        user = _locked(user)
        before = role_of(user).name
        kept = permissions_of(user)
        if role != roles.ADMINISTRATOR.name:
            _refuse_to_lose(actor, user, "take the role of administrator from")
        _give(user, role, sorted(kept) if permissions is None else permissions)
        detail |= {"before": [before, *sorted(kept)]}
        detail["after"] = [role, *sorted(kept if permissions is None else permissions)]


def deactivate(actor: Actor, user: User) -> int:
    """No log-in any more, and the sessions end. Returns how many. Raises AccessError."""
    with audited(actor, "admin", "person.deactivate", user.username) as detail:
        user = _locked(user)
        if not user.is_active:
            raise Taken(f"{user.username!r} is deactivated already.")
        _refuse_to_lose(actor, user, "deactivate")
        User.objects.filter(pk=user.pk).update(is_active=False)
        detail["sessions"] = n = end_sessions(user)
    return n


def activate(actor: Actor, user: User) -> None:
    """Raises AccessError."""
    with audited(actor, "admin", "person.activate", user.username):
        if not User.objects.filter(pk=user.pk, is_active=False).update(is_active=True):
            raise Taken(f"{user.username!r} is active already.")


def reset_totp(actor: Actor, user: User) -> None:
    """The person logs in by password alone, until they set up a second factor again. Raises AccessError."""
    with audited(actor, "admin", "person.totp-reset", user.username) as detail:
        gone = TOTPDevice.objects.filter(user=user).delete()[0]
        StaticDevice.objects.filter(user=user).delete()
        if not gone:
            raise Taken(f"{user.username!r} has no second factor.")
        detail["sessions"] = end_sessions(user)


def note_link(actor: Actor, user: User) -> None:
    """A link to choose a password was made; whoever has it can log in as that person. Raises AccessError."""
    with audited(actor, "admin", "person.link", user.username):
        if not user.is_active:
            raise Taken(f"{user.username!r} is deactivated; activate the account first.")


def end_sessions(user: User, but: str | None = None) -> int:
    """How many; the store is the one that the settings name."""
    store: Any = import_module(settings.SESSION_ENGINE).SessionStore
    return int(store.end_all(user, but))


def _give(user: User, role: str, permissions: Sequence[str]) -> None:
    if role not in roles.ROLES:
        raise Wrong("role", f"There is no role {role[:40]!r}; there are {', '.join(roles.ROLES)}.")
    wrong = [each for each in permissions if each not in SCOPES]
    if wrong:
        raise Wrong(
            "permissions", f"There is no permission {wrong[0][:40]!r}; there are {', '.join(SCOPES)}."
        )
    is_administrator = role == roles.ADMINISTRATOR.name
    User.objects.filter(pk=user.pk).update(is_superuser=is_administrator, is_staff=is_administrator)
    user.groups.remove(*user.groups.filter(name__in=roles.ROLES))
    if not is_administrator:
        user.groups.add(Group.objects.get_or_create(name=role)[0])
    known_ones = Permission.objects.filter(content_type__app_label=APP, codename__in=SCOPES)
    user.user_permissions.remove(*known_ones)
    user.user_permissions.add(*known_ones.filter(codename__in=permissions))
    user.refresh_from_db()


def _locked(user: User) -> User:
    """The row as it is now. All administrators are locked with it, so that two can't remove each other."""
    list(User.objects.select_for_update().filter(is_superuser=True).order_by("pk").values_list("pk"))
    return User.objects.select_for_update().get(pk=user.pk)


def _refuse_to_lose(actor: Actor, user: User, what: str) -> None:
    if not user.is_superuser:
        return
    if actor.name == f"user:{user.username}"[:150]:
        raise Taken(f"You can't {what} yourself; another administrator can.")
    others = User.objects.filter(is_superuser=True, is_active=True).exclude(pk=user.pk)
    if user.is_active and not others.exists():
        raise Taken(f"{user.username!r} is the last administrator: make another one first.")
