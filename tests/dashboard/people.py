"""People of each role, logged in."""

from __future__ import annotations

import functools
from typing import Any

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group, Permission, User
from django.test import Client

PASSWORD = "a-long-enough-one"
BACKEND = "django.contrib.auth.backends.ModelBackend"


@functools.cache
def _hashed() -> str:
    """Once a process: argon2 is slow on purpose."""
    return make_password(PASSWORD)


def a_person(name: str = "vera", role: str = "viewer", *permissions: str, **values: Any) -> User:
    values = {"password": _hashed(), **values}
    if role == "administrator":
        return User.objects.create(username=name, is_superuser=True, is_staff=True, **values)
    user = User.objects.create(username=name, **values)
    user.groups.add(Group.objects.get_or_create(name=role)[0])
    user.user_permissions.add(*Permission.objects.filter(codename__in=permissions))
    return user


def logged_in(user: User, **options: Any) -> Client:
    client = Client(**options)
    client.force_login(user, BACKEND)
    return client


def as_role(role: str = "viewer", *permissions: str, name: str = "vera") -> Client:
    """A client of a new person."""
    return logged_in(a_person(name, role, *permissions))
