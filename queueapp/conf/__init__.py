"""Every setting of Mailweir: name, type, default, unit and the reason it exists.

Settings come from the environment and are read once, at start. A value that is not
allowed stops the start with `WrongSetting`, which names the setting, the value and what
is allowed. Nothing here imports Django, so `manage.py` can report a wrong value before
Django is loaded.

A setting stands in the file of its theme, which is its chapter in docs/settings.md; `texts` and
`places` read values.
"""

from queueapp.conf.in_force import current, override, settle
from queueapp.conf.people import ROLES
from queueapp.conf.reading import described, load
from queueapp.conf.settings import SANDBOX_CERTIFICATE, Conf
from queueapp.conf.texts import duration, rate_or_none
from queueapp.conf.values import Address, Hours, Rate, RouteSpec, WrongSetting

__all__ = [
    "ROLES",
    "SANDBOX_CERTIFICATE",
    "Address",
    "Conf",
    "Hours",
    "Rate",
    "RouteSpec",
    "WrongSetting",
    "current",
    "described",
    "duration",
    "load",
    "override",
    "rate_or_none",
    "settle",
]
