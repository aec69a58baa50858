"""Argon2 with the least cost, for users that tests make by the hundred.

The same algorithm and form; only the work of a third of a second for each password is left out. What `up`
starts has the real one (tests/dashboard/auth/test_login.py looks at the settings).
"""

from __future__ import annotations

from django.contrib.auth.hashers import Argon2PasswordHasher


class QuickArgon2(Argon2PasswordHasher):
    time_cost = 1
    memory_cost = 8
    parallelism = 1
