"""django-rq's command with our worker class, and all our queues where none is named."""

from __future__ import annotations

from typing import Any

from django_rq.management.commands.rqworker import Command as RqCommand

from queueapp import conf
from queueapp.workers import logs

WORKER = "queueapp.workers.worker.Worker"


class Command(RqCommand):
    help = "Runs one RQ worker alone: `rqworker [QUEUE …]`, by default for `operations` and `runners`."
    requires_system_checks = ()

    def handle(self, *queues: str, **options: Any) -> None:
        logs.configure(conf.current().log)
        options["worker_class"] = options.get("worker_class") or WORKER
        super().handle(*(queues or ("operations", "runners")), **options)
