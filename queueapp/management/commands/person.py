"""`person create|list|role|deactivate|activate|link|totp-reset`: people who log in to the dashboard."""

from __future__ import annotations

import json
from typing import Any

from django.contrib.auth.models import User
from django.contrib.auth.tokens import default_token_generator
from django.core.management.base import CommandParser
from django.urls import reverse
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode
from django_otp.plugins.otp_totp.models import TOTPDevice

from queueapp import conf
from queueapp.access import people, roles
from queueapp.access.change import AccessError, Wrong
from queueapp.management.access_command import actor, shown_time
from queueapp.management.base import Command as Base
from queueapp.management.base import Failed, WrongUsage
from queueapp.management.columns import columns
from queueapp.models import SCOPES

_HEADINGS = ("name", "role", "permissions", "totp", "active", "last_login")
_VERBS = {
    "deactivate": "no log-in any more; the sessions end",
    "activate": "let a deactivated person log in again",
    "link": "print a link to choose a new password",
    "totp-reset": "forget the second factor; the sessions end",
}


class Command(Base):
    help = "Make people who log in to the dashboard, list them, change their role, and let them in no more."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(
            dest="verb", required=True, metavar="|".join(("create|list|role", *_VERBS))
        )
        create = verbs.add_parser("create", help="make one, and print the link to choose a password")
        create.add_argument("name")
        create.add_argument("--role", default=roles.VIEWER.name, help=f"one of {', '.join(roles.ROLES)}")
        _add_permissions(create)
        listing = verbs.add_parser("list", help="all people")
        listing.add_argument("--json", action="store_true", help="one JSON object a line")
        role = verbs.add_parser("role", help="give another role")
        role.add_argument("name")
        role.add_argument("role", help=f"one of {', '.join(roles.ROLES)}")
        _add_permissions(role)
        for verb, text in _VERBS.items():
            verbs.add_parser(verb, help=text).add_argument("name")

    def run(self, **options: Any) -> int | None:
        try:
            getattr(self, f"_{options['verb'].replace('-', '_')}")(options)
        except Wrong as error:
            raise WrongUsage(str(error)) from None
        except AccessError as error:
            raise Failed(str(error)) from None
        return None

    def _create(self, options: dict[str, Any]) -> None:
        made = people.create(actor(), options["name"], options["role"], _permissions(options) or [])
        self._tell_link(made)

    def _role(self, options: dict[str, Any]) -> None:
        user = people.named(options["name"])
        people.change_role(actor(), user, options["role"], _permissions(options))
        self.stdout.write(f"{user.username} is {roles.ROLES[options['role']].title.lower()} now.")

    def _deactivate(self, options: dict[str, Any]) -> None:
        n = people.deactivate(actor(), people.named(options["name"]))
        self.stdout.write(f"Deactivated {options['name']}; {n} sessions ended.")

    def _activate(self, options: dict[str, Any]) -> None:
        people.activate(actor(), people.named(options["name"]))
        self.stdout.write(f"Activated {options['name']}.")

    def _link(self, options: dict[str, Any]) -> None:
        user = people.named(options["name"])
        people.note_link(actor(), user)
        self._tell_link(user)

    def _totp_reset(self, options: dict[str, Any]) -> None:
        people.reset_totp(actor(), people.named(options["name"]))
        self.stdout.write(f"{options['name']} logs in by password alone now.")

    def _list(self, options: dict[str, Any]) -> None:
        with_totp = set(TOTPDevice.objects.filter(confirmed=True).values_list("user_id", flat=True))
        rows = [_row(user, user.pk in with_totp) for user in User.objects.order_by("username")]
        if options["json"]:
            for row in rows:
                self.stdout.write(json.dumps(row, default=str))
        else:
            cells = [[_shown(row[heading]) for heading in _HEADINGS] for row in rows]
            self.stdout.write(columns(_HEADINGS, cells))

    def _tell_link(self, user: User) -> None:
        """The link alone on stdout."""
        ticket = urlsafe_base64_encode(force_bytes(user.pk))
        path = reverse("welcome", args=[ticket, default_token_generator.make_token(user)])
        self.stdout.write(f"{_address()}{path}")
        self.stderr.write("Good once, for three days: whoever opens it chooses the password.")


def _add_permissions(parser: CommandParser) -> None:
    parser.add_argument(
        "--permission", metavar=",".join(SCOPES), help="beside the role, by commas; '' is none"
    )


def _permissions(options: dict[str, Any]) -> list[str] | None:
    """None where nothing was said."""
    if options["permission"] is None:
        return None
    return [part.strip() for part in options["permission"].split(",") if part.strip()]


def _row(user: User, has_totp: bool) -> dict[str, Any]:
    return {
        "name": user.username,
        "role": people.role_of(user).name,
        "permissions": sorted(people.permissions_of(user)),
        "totp": has_totp,
        "active": user.is_active,
        "last_login": user.last_login,
    }


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ",".join(value) or "-"
    return value if isinstance(value, str) else shown_time(value)


def _address() -> str:
    """Where the dashboard listens, or where it is set to."""
    settings = conf.current()
    try:
        told = json.loads(settings.run_file.read_bytes())["http"]
    except (OSError, ValueError, KeyError, TypeError):
        told = f"http://{settings.http}"
    host = next((host for host in settings.allowed_hosts if not host.startswith(".")), "")
    return f"https://{host}" if host and settings.https == "yes" else str(told).rstrip("/")
