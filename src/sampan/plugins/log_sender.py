"""The shipper's sender for a log driver that is a plugin: a FIFO for each run, written when the plugin has room.

In the shipper's process. The container never waits for the plugin: it writes its local log, which the shipper reads.
"""

import asyncio
import fcntl
import os
import struct
import termios
from pathlib import Path

import msgspec

from sampan.files.root import SafeRoot
from sampan.logs.shipping.jobs import Job
from sampan.logs.shipping.source import Record
from sampan.logs.shipping.transports import Undelivered
from sampan.plugins.faults import PluginFailed
from sampan.plugins.log_driver import Info, entry, start_logging, stop_logging
from sampan.plugins.places import Address
from sampan.plugins.plugin import Plugin

_IN_ROOT = "/run/docker/logging"
"""Where a plugin with a root directory of its own finds its FIFOs, as in Docker."""
_ROOM_SECONDS = 30.0
"""A plugin that reads nothing for so long is started anew: it may be another process by now."""
_DRAIN_SECONDS = 5.0
_LOOK = 0.02


class Target(msgspec.Struct, frozen=True):
    """What `Job.plugin` holds as JSON: who takes the log, where FIFOs lie, and what the plugin is told of the container."""

    address: Address
    fifos: str
    info: Info


def sender(job: Job) -> "PluginLog":
    """The sender of a job whose driver is a plugin."""
    return PluginLog(job.driver, msgspec.json.decode(job.plugin, type=Target) if job.plugin else None)


class PluginLog:
    """Implements `logs.shipping.senders.Sender`. Without a target every attempt fails: the plugin was nowhere to be found."""

    def __init__(self, name: str, target: Target | None) -> None:
        self._name = name
        self._target = target
        self._plugin = Plugin(name, lambda: target.address if target is not None else None)
        self._directory = -1
        self._fifo = -1
        self._file = ""

    async def send(self, records: list[Record]) -> None:
        """See `Sender`. What the FIFO holds counts as sent."""
        delivered = 0
        try:
            if self._fifo < 0:
                await self._start()
            for record in records:
                await self._write(entry(record))
                delivered += 1
        except (OSError, PluginFailed) as error:
            await self._stop(drain=False)
            raise Undelivered(error, delivered) from error

    async def close(self) -> None:
        """See `Sender`."""
        await self._stop(drain=True)

    async def _start(self) -> None:
        target = self._target
        if target is None:
            raise FileNotFoundError(f'plugin "{self._name}" not found')
        self._directory = _opened(target)
        for left in os.listdir(self._directory):
            # Of a shipper that died.
            if left.startswith(f"{target.info.container_id}-"):
                await self._forget(left)
        self._file = f"{target.info.container_id}-{os.urandom(6).hex()}"
        os.mkfifo(self._file, 0o700, dir_fd=self._directory)
        # For reading, too, as Docker does: what is written before the plugin opens it is no broken pipe.
        flags = os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW
        self._fifo = os.open(self._file, flags, dir_fd=self._directory)
        await start_logging(self._plugin, self._path(self._file), target.info)

    def _path(self, file: str) -> str:
        assert self._target is not None
        return f"{_IN_ROOT if self._target.address.root else self._target.fifos}/{file}"

    async def _write(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            try:
                left = left[os.write(self._fifo, left) :]
            except BlockingIOError:
                async with asyncio.timeout(_ROOM_SECONDS):
                    await self._room()

    async def _room(self) -> None:
        loop = asyncio.get_running_loop()
        there = asyncio.Event()
        loop.add_writer(self._fifo, there.set)
        try:
            await there.wait()
        finally:
            loop.remove_writer(self._fifo)

    async def _stop(self, *, drain: bool) -> None:
        if self._directory < 0:
            return
        try:
            if drain and self._fifo >= 0:
                await self._drained()
            if self._file:
                await self._forget(self._file)
        finally:
            for descriptor in (self._fifo, self._directory):
                if descriptor >= 0:
                    os.close(descriptor)
            self._fifo = self._directory = -1
            self._file = ""

    async def _drained(self) -> None:
        """Plugins drop what they have not read when they are told to stop: give them a moment."""
        deadline = asyncio.get_running_loop().time() + _DRAIN_SECONDS
        while asyncio.get_running_loop().time() < deadline:
            if not struct.unpack("i", fcntl.ioctl(self._fifo, termios.FIONREAD, b"\0" * 4))[0]:
                return
            await asyncio.sleep(_LOOK)

    async def _forget(self, file: str) -> None:
        try:
            await stop_logging(self._plugin, self._path(file))
        except PluginFailed:
            pass  # it is away, or never knew of it: the FIFO goes in any case
        try:
            os.unlink(file, dir_fd=self._directory)
        except FileNotFoundError:
            pass


def _opened(target: Target) -> int:
    if target.address.root:
        with SafeRoot(target.address.root) as root:
            os.close(root.make_directories(_IN_ROOT.lstrip("/"), 0o700))
            return root.open(_IN_ROOT.lstrip("/"), os.O_RDONLY | os.O_DIRECTORY)
    Path(target.fifos).mkdir(mode=0o700, exist_ok=True)
    return os.open(target.fifos, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
