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
        """Send them in order. Raises Undelivered, with how many surely went; the rest may be given again."""
        ...

    async def close(self) -> None:
        """End the connection."""
        ...


_SENDERS: dict[str, Callable[..., Sender]] = {"fluentd": Fluentd, "gelf": Gelf, "journald": Journald, "syslog": Syslog}


def sender_of(job: Job) -> Sender:
    """The sender that a job asks for. Its options were judged when the container was made."""
    return _SENDERS[job.driver](job.options, job.facts)
