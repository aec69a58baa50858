"""The way out, by recipient domain. Where no row matches, MAILWEIR_ROUTE decides.

One with a name can also be chosen: for a recipient domain, or for single deliveries
(docs/decisions/0040). One without a pattern is there for that alone.
"""

from __future__ import annotations

from django.db import models

from queueapp.models.sealed import seal, unseal


class RouteKind(models.TextChoices):
    MX = "mx"
    RELAY = "relay"
    SANDBOX = "sandbox"


class Tls(models.TextChoices):
    NONE = "none"
    OPPORTUNISTIC = "opportunistic"
    REQUIRED = "required"
    IMPLICIT = "implicit"


class Route(models.Model):
    name = models.CharField(max_length=64, blank=True, help_text="By which people choose it.")
    position = models.IntegerField(default=100, help_text="Lower is asked first.")
    pattern = models.CharField(
        max_length=255, blank=True, help_text="example.com, .example.com (and below) or *; empty: none"
    )
    kind = models.CharField(max_length=8, choices=RouteKind.choices)
    host = models.CharField(max_length=255, blank=True)
    port = models.PositiveIntegerField(default=25)
    username = models.CharField(max_length=255, blank=True)
    sealed = models.TextField(blank=True, help_text="The password, sealed; empty: none.")
    tls = models.CharField(max_length=13, choices=Tls.choices, default=Tls.OPPORTUNISTIC)
    source = models.ForeignKey("EgressSource", models.SET_NULL, null=True, blank=True)
    pool = models.ForeignKey(
        "EgressPool", models.SET_NULL, null=True, blank=True, help_text="Goes before `source`."
    )

    class Meta:
        ordering = ["position", "id"]
        constraints = [
            models.CheckConstraint(condition=models.Q(kind__in=RouteKind.values), name="route_kind_known"),
            models.CheckConstraint(condition=models.Q(tls__in=Tls.values), name="route_tls_known"),
            models.UniqueConstraint(fields=["name"], name="route_name_once", condition=~models.Q(name="")),
        ]

    def __str__(self) -> str:
        return self.name or f"{self.pattern} by {self.kind}"

    def keep_password(self, password: str) -> None:
        self.sealed = seal(password.encode()) if password else ""

    def password(self) -> str:
        """Raises SealBroken."""
        return unseal(self.sealed).decode() if self.sealed else ""

    @property
    def leads_to(self) -> str:
        """Where mail goes by it, in words; never the password."""
        if self.kind == RouteKind.RELAY:
            return f"{self.host}:{self.port}"
        return "the sandbox" if self.kind == RouteKind.SANDBOX else "the MX hosts of each domain"
