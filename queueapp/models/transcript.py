"""What was said at an attempt that did not deliver (MAILWEIR_TRANSCRIPTS). Goes with its attempt.

A table of its own, so that no list and no timeline reads it, and mail that is delivered writes nothing here.
"""

from __future__ import annotations

from django.db import models

from queueapp.models.attempt import Attempt


class AttemptTranscript(models.Model):
    attempt = models.OneToOneField(Attempt, models.CASCADE, primary_key=True, related_name="transcript")
    text = models.TextField(help_text="One line for each that was said; no mail and no password is in it.")

    def __str__(self) -> str:
        return f"transcript of attempt {self.attempt_id}"
