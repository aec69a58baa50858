"""`apikey create|list|set|revoke`: keys of the HTTP API."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from queueapp.access import actions
from queueapp.management.access_command import AccessCommand, actor
from queueapp.models import SCOPES, ApiKey


class Command(AccessCommand):
    help = "Make, list and revoke keys of the HTTP API. The key is printed once."
    noun = "an API key"
    model = ApiKey
    headings = ("name", "scopes", "created_at", "last_used_at", "revoked_at")

    def add_create_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--scope",
            default="submit",
            metavar=",".join(SCOPES),
            help="what the key may do, by commas (default: submit)",
        )

    def create(self, name: str, scope: str = "submit", **_: Any) -> str:
        scopes = [part.strip() for part in scope.split(",") if part.strip()]
        return actions.create_api_key(name, scopes, actor=actor())[1]

    def revoke(self, name: str) -> None:
        actions.revoke_api_key(name, actor=actor())

    def rows(self) -> list[dict[str, Any]]:
        return list(ApiKey.objects.order_by("name").values(*self.headings))
