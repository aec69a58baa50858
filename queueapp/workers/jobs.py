"""What RQ calls. A job hands over at once and is safe to run twice."""

from __future__ import annotations

from django.db import connections


def run(job_id: str) -> None:
    """A queue runner's life, and the next one where mail is left."""
    from queueapp import kick
    from queueapp.engine.reaper import reap
    from queueapp.engine.runner import QueueRunner

    connections.close_all()
    reap()
    if QueueRunner(job_id).run():
        number, _, is_next = job_id.removeprefix("runner-").partition("-")
        kick.start(int(number), "" if is_next else kick.NEXT)
