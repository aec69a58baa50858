"""Tests hash passwords with little work; whoever uses Mailweir gets all of it."""

from __future__ import annotations

from django.contrib.auth.hashers import Argon2PasswordHasher, get_hasher, make_password
from django.utils.module_loading import import_string

import dashboard.settings


def test_the_settings_name_argon2_with_its_full_cost() -> None:
    first = import_string(dashboard.settings.PASSWORD_HASHERS[0])
    assert first is Argon2PasswordHasher
    assert (first.time_cost, first.memory_cost) >= (2, 19_456)


def test_here_it_is_the_same_algorithm_with_the_least() -> None:
    assert get_hasher().algorithm == Argon2PasswordHasher.algorithm
    assert make_password("a-long-password").startswith("argon2$argon2id$v=19$m=8,t=1,p=1$")
