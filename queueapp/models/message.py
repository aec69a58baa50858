"""What was submitted. A Message never changes after it was accepted."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

LARGE = 100_000  # bytes: from here on an index has the sizes


class TlsDemand(models.TextChoices):
    """What the sender asks of the sessions that carry the mail on (RFC 8689)."""

    NONE = ""
    REQUIRED = "required"
    """REQUIRETLS: verified TLS at each hop, or back to the sender."""
    WAIVED = "waived"
    """The field TLS-Required: No: rather in plain text than not at all."""


class Message(models.Model):
    """One accepted submission: its envelope and what lists show of its header."""

    accepted_at = models.DateTimeField()
    sender = models.CharField(
        max_length=512, blank=True, help_text="Envelope sender; empty is the null sender."
    )
    sender_domain = models.CharField(max_length=255, blank=True)
    from_header = models.CharField(max_length=998, blank=True)
    subject = models.CharField(max_length=998, blank=True)
    message_id = models.CharField(
        max_length=998, blank=True, help_text="The Message-ID header, without brackets."
    )
    size = models.PositiveIntegerField(help_text="Bytes of the body as stored.")
    n_recipients = models.PositiveIntegerField()
    source = models.CharField(
        max_length=16, help_text="The way in: smtp, http, backend, sendmail, campaign, report."
    )
    client = models.CharField(max_length=64, blank=True, help_text="IP address of the submitter.")
    helo = models.CharField(max_length=255, blank=True)
    protocol = models.CharField(
        max_length=16, blank=True, help_text="ESMTP, ESMTPS, HTTP … for the Received line."
    )
    login = models.CharField(max_length=150, blank=True, help_text="SMTP login or API key that submitted it.")
    priority = models.PositiveSmallIntegerField(default=5, help_text="0 to 9; 9 is sent first.")
    send_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    tags = models.JSONField(default=list, blank=True)
    has_attachment = models.BooleanField(default=False)
    is_bulk = models.BooleanField(default=False, help_text="List or bulk mail: no delay warnings.")
    is_8bit = models.BooleanField(default=False)
    needs_utf8 = models.BooleanField(default=False, help_text="An address needs SMTPUTF8.")
    tls_demand = models.CharField(
        max_length=8, blank=True, choices=TlsDemand.choices, default=TlsDemand.NONE, db_default=""
    )

    class Meta:
        indexes = [
            # `from:b` in the search grammar, newest first.
            models.Index(fields=["sender_domain", "-id"], name="message_sender_domain"),
            # `from:a@b` in the search grammar.
            models.Index(fields=["sender", "-id"], name="message_sender"),
            # `msgid:` in the search grammar.
            models.Index(fields=["message_id"], name="message_message_id"),
            # `size>1MB`, and the largest first.
            models.Index(fields=["-size"], name="message_large", condition=Q(size__gte=LARGE)),
        ]

    def __str__(self) -> str:
        return f"message {self.pk}"


class Body(models.Model):
    """The MIME source of a message, byte for byte as submitted; apart, so that no list reads it."""

    message = models.OneToOneField(Message, models.CASCADE, primary_key=True, related_name="body")
    content = models.BinaryField()

    def __str__(self) -> str:
        return f"body of message {self.message_id}"
