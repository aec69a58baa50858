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


def operate(job_id: str) -> None:
    """Do what is open of the bulk operations, and go on in another job where that takes long."""
    from queueapp import kick
    from queueapp.operations import wake
    from queueapp.operations.run import work

    connections.close_all()
    if work():
        next_id = wake.JOB_ID if job_id.endswith(kick.NEXT) else wake.JOB_ID + kick.NEXT
        kick.ensure(wake.QUEUE, wake.JOB, next_id, "operations")
