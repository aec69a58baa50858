from __future__ import annotations

from django.apps import AppConfig


class QueueConfig(AppConfig):
    name = "queueapp"
    verbose_name = "Mailweir queue"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from queueapp import checks  # noqa: F401 - registers them
