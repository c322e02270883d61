"""The sender of each driver."""

from collections.abc import Callable
from typing import Protocol

from sampan.logs.shipping.fluentd import Fluentd
from sampan.logs.shipping.gelf import Gelf
from sampan.logs.shipping.jobs import Job
from sampan.logs.shipping.journald import Journald
from sampan.logs.shipping.source import Record
from sampan.logs.shipping.syslog import Syslog


class Sender(Protocol):
    """Puts records into a collector's words and sends them."""

    async def send(self, records: list[Record]) -> None:
        """Send them in order. Raises Undelivered, with how many surely went; the rest may be given again.

        No records at all are given only where the job `is_announced`.
        """
        ...

    async def close(self) -> None:
        """End the connection."""
        ...


_SENDERS: dict[str, Callable[..., Sender]] = {"fluentd": Fluentd, "gelf": Gelf, "journald": Journald, "syslog": Syslog}


MakeSender = Callable[[Job], Sender]
"""Makes senders for drivers that are not known here."""


def sender_of(job: Job, others: MakeSender | None = None) -> Sender:
    """The sender that a job asks for. Its options were judged when the container was made."""
    if job.driver not in _SENDERS and others is not None:
        return others(job)
    return _SENDERS[job.driver](job.options, job.facts)


def is_announced(job: Job) -> bool:
    """Whether the other side is told of a run before it has said anything: a plugin is, which may be asked to read it again."""
    return job.driver not in _SENDERS
