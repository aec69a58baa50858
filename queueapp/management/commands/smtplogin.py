"""`smtplogin create|list|set|revoke`: logins of the submission server."""

from __future__ import annotations

from typing import Any

from queueapp.access import actions
from queueapp.management.access_command import AccessCommand, actor
from queueapp.models import SmtpLogin


class Command(AccessCommand):
    help = "Make, list and revoke logins of the submission server. The password is printed once."
    noun = "an SMTP login"
    model = SmtpLogin
    headings = ("name", "created_at", "last_used_at", "revoked_at")

    def create(self, name: str, **_: Any) -> str:
        return actions.create_smtp_login(name, actor=actor())[1]

    def revoke(self, name: str) -> None:
        actions.revoke_smtp_login(name, actor=actor())

    def rows(self) -> list[dict[str, Any]]:
        return list(SmtpLogin.objects.order_by("name").values(*self.headings))
