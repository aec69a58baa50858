"""Where mail leaves from: local addresses, pools of them, and the rules that choose a pool."""

from __future__ import annotations

from datetime import date

from django.db import models
from django.db.models import Q


class EgressSource(models.Model):
    """A local IP address with the EHLO name that belongs to it."""

    name = models.CharField(max_length=64, unique=True)
    address = models.GenericIPAddressField(unique=True)
    ehlo_name = models.CharField(max_length=255)
    is_active = models.BooleanField(default=True, help_text="No: drained, it takes no new transaction.")
    drained_at = models.DateTimeField(null=True, blank=True)
    drained_reason = models.CharField(max_length=255, blank=True)
    # Warm-up: `warmup_first` mails a day and site from that day on, times `warmup_factor` each day.
    warmup_from = models.DateField(null=True, blank=True, help_text="Empty: warm.")
    warmup_until = models.DateField(null=True, blank=True, help_text="Warm from this day on.")
    warmup_first = models.PositiveIntegerField(default=50)
    warmup_factor = models.FloatField(default=1.5)

    def __str__(self) -> str:
        return f"{self.name} ({self.address})"

    def daily_cap(self, day: date) -> int | None:
        """Mails that it may send to one site on that day (UTC); None: as many as it likes."""
        if self.warmup_from is None or (self.warmup_until is not None and day >= self.warmup_until):
            return None
        n_days = (day - self.warmup_from).days
        if n_days < 0:
            return 0
        return int(min(self.warmup_first * self.warmup_factor ** min(n_days, 400), 1e9))


class EgressPool(models.Model):
    name = models.CharField(max_length=64, unique=True)
    sources = models.ManyToManyField(EgressSource, through="PoolMember", related_name="pools")

    def __str__(self) -> str:
        return self.name


class PoolMember(models.Model):
    pool = models.ForeignKey(EgressPool, models.CASCADE, related_name="members")
    source = models.ForeignKey(EgressSource, models.CASCADE, related_name="memberships")
    weight = models.PositiveIntegerField(default=1, help_text="0: only where no other source is left.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["pool", "source"], name="pool_member_once")]

    def __str__(self) -> str:
        return f"{self.source} in {self.pool}"


class EgressRule(models.Model):
    """Which pool a mail takes. The first rule that matches decides; else the route does."""

    class Kind(models.TextChoices):
        LOGIN = "login"
        SENDER_DOMAIN = "sender_domain"
        TAG = "tag"

    position = models.IntegerField(default=100, help_text="Lower is asked first.")
    kind = models.CharField(max_length=16, choices=Kind.choices)
    value = models.CharField(max_length=255)
    pool = models.ForeignKey(EgressPool, models.CASCADE, related_name="rules")

    class Meta:
        ordering = ["position", "id"]
        constraints = [models.UniqueConstraint(fields=["kind", "value"], name="egress_rule_once")]

    def __str__(self) -> str:
        return f"{self.kind} {self.value} by {self.pool}"


class SourceDay(models.Model):
    """How many mails a source in warm-up has sent, or may yet send, to a site on one day (UTC)."""

    source = models.ForeignKey(EgressSource, models.CASCADE)
    site = models.ForeignKey("Site", models.CASCADE)
    day = models.DateField()
    n = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["source", "site", "day"], name="source_day_once")]

    def __str__(self) -> str:
        return f"{self.n} on {self.day}"


class Suspension(models.Model):
    """A site that has blocked a source: nothing goes this way until it is over. One row a pair, the last."""

    source = models.ForeignKey(
        EgressSource,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="suspensions",
        help_text="Empty: the address that the system chooses.",
    )
    site = models.ForeignKey("Site", models.CASCADE, related_name="suspensions")
    reply_class = models.CharField(max_length=16)
    reply = models.CharField(max_length=1000, blank=True)
    since = models.DateTimeField()
    until = models.DateTimeField()
    is_soft = models.BooleanField(
        default=False, db_default=False, help_text="Only where another source of the pool may be used."
    )
    n = models.PositiveIntegerField(default=1, help_text="Times in a row: each is twice as long.")
    lifted_at = models.DateTimeField(null=True, blank=True)
    lifted_by = models.CharField(max_length=150, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["source", "site"], name="suspension_once"),
            models.UniqueConstraint(
                fields=["site"], condition=Q(source__isnull=True), name="suspension_once_default"
            ),
        ]
        indexes = [
            # The runners' look, and the list of those that hold.
            models.Index(fields=["until"], name="suspension_until"),
        ]

    def __str__(self) -> str:
        return f"{self.source or 'the default source'} at {self.site}"
