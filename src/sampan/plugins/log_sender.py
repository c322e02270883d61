"""The shipper's sender for a log driver that is a plugin: a FIFO for each run, written when the plugin has room.

In the shipper's process. The container never waits for the plugin: it writes its local log, which the shipper reads.
"""

import msgspec

from sampan.logs.shipping.jobs import Job
from sampan.logs.shipping.source import Record
from sampan.logs.shipping.transports import Undelivered
from sampan.plugins.faults import PluginFailed
from sampan.plugins.log_driver import entry
from sampan.plugins.log_fifo import LogFifo, Target


def sender(job: Job) -> "PluginLog":
    """The sender of a job whose driver is a plugin."""
    return PluginLog(job.driver, msgspec.json.decode(job.plugin, type=Target) if job.plugin else None)


class PluginLog:
    """Implements `logs.shipping.senders.Sender`. Without a target every attempt fails: the plugin was nowhere to be found."""

    def __init__(self, name: str, target: Target | None) -> None:
        self._name = name
        self._fifo = None if target is None else LogFifo(name, target)

    async def send(self, records: list[Record]) -> None:
        """See `Sender`. What the FIFO holds counts as sent."""
        delivered = 0
        try:
            fifo = self._found()
            if not fifo.begun:
                # Of a shipper that died.
                await fifo.forget_earlier()
                await fifo.begin()
            for record in records:
                await fifo.write(entry(record))
                delivered += 1
        except (OSError, PluginFailed) as error:
            if self._fifo is not None:
                await self._fifo.end(drain=False)
            raise Undelivered(error, delivered) from error

    async def close(self) -> None:
        """See `Sender`."""
        if self._fifo is not None:
            await self._fifo.end(drain=True)

    def _found(self) -> LogFifo:
        if self._fifo is None:
            raise FileNotFoundError(f'plugin "{self._name}" not found')
        return self._fifo
