"""Octets that the database must not give away by itself: sealed with a key made from the secret key.

Who has a copy of the database alone can't read them; who has the secret key too can. A changed secret
key opens old seals as long as it stands in SECRET_KEY_FALLBACKS.
"""

from __future__ import annotations

import base64
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings


class SealBroken(ValueError):
    """Sealed with another secret key, or not sealed at all."""


def seal(octets: bytes) -> str:
    return _box((settings.SECRET_KEY,)).encrypt(octets).decode("ascii")


def unseal(text: str) -> bytes:
    """Raises SealBroken."""
    try:
        return _box((settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)).decrypt(text.encode())
    except InvalidToken:
        raise SealBroken("it was sealed with another secret key") from None


@lru_cache(maxsize=4)
def _box(secrets: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(_derived(secret)) for secret in secrets])


def _derived(secret: str) -> bytes:
    """For this use alone: whoever learns it can't sign sessions."""
    made = HKDF(hashes.SHA256(), 32, salt=None, info=b"mailweir sealed 1").derive(secret.encode())
    return base64.urlsafe_b64encode(made)
