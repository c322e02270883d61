"""One container's log on its way to its collector: read, sent, and how far kept; again and again until it is all there."""

import asyncio
import os
import time
from collections.abc import Callable, Mapping

import msgspec

from sampan.logs.shipped_options import seconds
from sampan.logs.shipping.jobs import Job, read_position, write_position
from sampan.logs.shipping.senders import MakeSender, Sender, is_announced, sender_of
from sampan.logs.shipping.source import Batch, Record, Source
from sampan.logs.shipping.transports import Undelivered

_SHORTEST_WAIT = 0.05
_FIRST_WAIT = 0.5
_LONGEST_WAIT = 15.0
_LOOK = 1.0
"""Between two looks where nothing says that something came."""
_KEEP_EVERY = 0.25
_GATHER = 0.02
_LOST = "lost before they could be sent: the local log was rotated or cleared"


class Shipment:
    """Runs until the job's run has ended and everything is sent. `say` tells the host's log."""

    def __init__(self, job: Job, say: Callable[[str], None], others: MakeSender | None = None) -> None:
        self.job = job
        self.news = asyncio.Event()
        """set when the log may have grown or the job changed"""
        self._say = say
        self._position = read_position(job.position)
        self._kept = self._position
        self._kept_at = 0.0
        self._source = Source(job.log, self._position)
        self._others = others
        self._sender = sender_of(job, others)
        self._announced = not is_announced(job)
        self._left: list[Sender] = []
        """senders of earlier runs, to be closed"""
        self._failing = False

    def update(self, job: Job) -> None:
        """The daemon has more to say of this container: a new run, or the end of one."""
        if _receiver(job) != _receiver(self.job):
            self._left.append(self._sender)
            self._sender = sender_of(job, self._others)
            self._announced = not is_announced(job)
        self.job = job
        self.news.set()

    async def run(self) -> None:
        """Ship. Raises OSError where the local log cannot be read."""
        try:
            while True:
                while self._left:
                    await self._left.pop().close()
                await self._announce()
                job = self.job
                batch = self._source.read()
                if batch is not None:
                    await self._deliver(batch)
                    self._position = batch.after
                    self._keep()
                elif job.running or self.job is not job:
                    self._keep()
                    await self._wait(_LOOK if self._kept == self._position else _KEEP_EVERY)
                else:
                    # Asked before reading: what was written before the end has been read.
                    self._position = msgspec.structs.replace(self._position, finished=job.run)
                    return
        finally:
            self._keep(now=True)
            self._source.close()
            await self._sender.close()

    async def _announce(self) -> None:
        """Once; tried again with each look while the other side is away."""
        if self._announced:
            return
        try:
            await self._sender.send([])
        except Undelivered as error:
            self._tell_failure(str(error))
            return
        self._announced = True

    async def _deliver(self, batch: Batch) -> None:
        """Send a batch, however long that takes; where an option says so, give up after so many attempts."""
        records = batch.records
        if batch.lost:
            text = f"{batch.lost} records of this log were {_LOST}"
            self._tell(text)
            records = [Record(2, f"sampan: {text}".encode(), time.time_ns()), *records]
        failures = 0
        wait, most = _patience(self.job.options)
        while records:
            try:
                await self._sender.send(records)
            except Undelivered as error:
                records = records[error.delivered :]
                failures += 1
                self._tell_failure(str(error))
                if most and failures > most:
                    self._tell(f"{len(records)} records were given up after {failures} attempts")
                    return
                await asyncio.sleep(wait)
                wait = min(wait * 1.5, _LONGEST_WAIT)
            else:
                break
        if self._failing:
            self._failing = False
            self._tell("the collector takes records again")

    async def _wait(self, limit: float) -> None:
        try:
            async with asyncio.timeout(limit):
                await self.news.wait()
        except TimeoutError:
            return
        # Lines come in bursts: one look for many.
        await asyncio.sleep(_GATHER)
        self.news.clear()

    def _keep(self, now: bool = False) -> None:
        """Put on the disk how far we got, a few times a second; what is sent in between is sent again after a crash."""
        moment = time.monotonic()
        if self._position == self._kept or (not now and moment - self._kept_at < _KEEP_EVERY):
            return
        self._kept_at = moment
        try:
            write_position(self.job.position, self._position)
        except OSError as error:
            # A full disk, or the container is being removed: the next one may succeed.
            if os.path.exists(self.job.log):
                self._tell(f"its position could not be kept: {error}")
            return
        self._kept = self._position

    def _tell_failure(self, why: str) -> None:
        if not self._failing:
            self._failing = True
            self._tell(f"cannot send: {why}; trying again")

    def _tell(self, text: str) -> None:
        self._say(f"{self.job.facts.id[:12]} ({self.job.driver}): {text}")


def _receiver(job: Job) -> tuple[object, ...]:
    """What a sender is made of."""
    return job.driver, job.options, job.facts, job.plugin


def _patience(options: Mapping[str, str]) -> tuple[float, int]:
    """The first pause between two attempts in seconds, and how often one is made again; 0 is without end."""
    wait = seconds(options.get("fluentd-retry-wait", ""), _FIRST_WAIT)
    wait = float(options.get("gelf-tcp-reconnect-delay") or wait)
    return max(wait, _SHORTEST_WAIT), int(
        options.get("fluentd-max-retries") or options.get("gelf-tcp-max-reconnect") or 0
    )
