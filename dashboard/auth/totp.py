"""The second factor: a code from an authenticator app, or one of the recovery codes (django-otp keeps both).

A session is only made when both factors were right, so whoever has a session has shown what was needed. Roles
in MAILWEIR_TOTP_FOR may do nothing but set it up, until they have. Promises: a code counts once; wrong ones
are slowed down by django-otp, each twice as long as the one before; recovery codes are shown once.
"""

from __future__ import annotations

from base64 import b32encode

import segno
from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from queueapp import conf
from queueapp.access import people

N_CODES = 10
_NAME = "authenticator"
_LENGTH = 6


def device_of(user: User) -> TOTPDevice | None:
    """The one that is in use."""
    found: TOTPDevice | None = TOTPDevice.objects.filter(user=user, confirmed=True).first()
    return found


def is_missing(user: User) -> bool:
    """The person's role demands a second factor, and there is none yet."""
    demanding = conf.current().totp_for
    return bool(demanding) and people.role_of(user).name in demanding and device_of(user) is None


def is_demanded(user: User) -> bool:
    return people.role_of(user).name in conf.current().totp_for


def begin(user: User) -> TOTPDevice:
    """A secret to be shown as picture and text; it counts when a code of it was typed."""
    made: TOTPDevice = TOTPDevice.objects.get_or_create(user=user, confirmed=False, defaults={"name": _NAME})[
        0
    ]
    return made


def picture(device: TOTPDevice) -> str:
    """The QR code as a data: address."""
    return str(segno.make(device.config_url, error="m").svg_data_uri(scale=5, border=3, light="#fff"))


def secret(device: TOTPDevice) -> str:
    """The same for typing, in groups of four."""
    text = b32encode(device.bin_key).decode().rstrip("=")
    return " ".join(text[at : at + 4] for at in range(0, len(text), 4))


def confirm(user: User, code: str) -> list[str] | None:
    """Recovery codes where the code was right, else None."""
    device = begin(user)
    with transaction.atomic():
        # A wrong code slows down; here somebody proves a secret that is on their screen.
        device.throttle_reset(commit=False)
        if not device.verify_token(_digits(code)):
            return None
        TOTPDevice.objects.filter(user=user).exclude(pk=device.pk).delete()
        TOTPDevice.objects.filter(pk=device.pk).update(confirmed=True)
        return new_codes(user)


def new_codes(user: User) -> list[str]:
    """The old ones count no more."""
    StaticDevice.objects.filter(user=user).delete()
    device = StaticDevice.objects.create(user=user, name="recovery codes")
    codes = [StaticToken.random_token() for _ in range(N_CODES)]
    StaticToken.objects.bulk_create(StaticToken(device=device, token=code) for code in codes)
    return codes


def remove(user: User) -> None:
    TOTPDevice.objects.filter(user=user).delete()
    StaticDevice.objects.filter(user=user).delete()


def n_codes(user: User) -> int:
    return int(StaticToken.objects.filter(device__user=user).count())


def is_right(user: User, code: str) -> bool:
    """A code of the app, or a recovery code, which is used up by it."""
    text = _digits(code)
    model = TOTPDevice if text.isdigit() and len(text) == _LENGTH else StaticDevice
    with transaction.atomic():
        device = model.objects.select_for_update().filter(user=user, confirmed=True).first()
        return device is not None and bool(device.verify_token(text))


def wait_of(user: User) -> int:
    """Seconds until the next try counts, after wrong ones."""
    device = device_of(user)
    if device is None:
        return 0
    is_allowed, why = device.verify_is_allowed()
    if is_allowed or not why or "locked_until" not in why:
        return 0
    return max(1, round((why["locked_until"] - timezone.now()).total_seconds()))


def _digits(code: str) -> str:
    return "".join(char for char in code if char.isascii() and char.isalnum()).lower()[:20]
