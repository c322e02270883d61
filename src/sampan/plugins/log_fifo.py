"""What a log driver that is a plugin reads from: a FIFO, made for one run, told of, written, drained and forgotten.

In the shipper's process for what containers say; in the daemon's where a plugin has to know of a container to read its log again.
"""

import asyncio
import fcntl
import os
import struct
import termios
from pathlib import Path

import msgspec

from sampan.files.root import SafeRoot
from sampan.plugins.faults import PluginFailed
from sampan.plugins.log_driver import Info, start_logging, stop_logging
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


class LogFifo:
    """One at a time; `begin` and `end` as often as there is need. `prefix` begins its file's name."""

    def __init__(self, name: str, target: Target, prefix: str = "") -> None:
        self._target = target
        self._plugin = Plugin(name, lambda: target.address)
        self._prefix = f"{prefix}{target.info.container_id}-"
        self._directory = -1
        self._fifo = -1
        self._file = ""

    @property
    def begun(self) -> bool:
        """Whether it can be written."""
        return self._fifo >= 0

    async def forget_earlier(self) -> None:
        """End those of a process that died, which nobody writes any more. Raises OSError."""
        self._open_directory()
        for left in os.listdir(self._directory):
            if left.startswith(self._prefix):
                await self._forget(left)

    async def begin(self) -> None:
        """Make it, and have the plugin read it. Raises OSError, PluginFailed; then `end` is to be called all the same."""
        self._open_directory()
        self._file = f"{self._prefix}{os.urandom(6).hex()}"
        os.mkfifo(self._file, 0o700, dir_fd=self._directory)
        # For reading, too, as Docker does: what is written before the plugin opens it is no broken pipe.
        flags = os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW
        self._fifo = os.open(self._file, flags, dir_fd=self._directory)
        await start_logging(self._plugin, self._path(self._file), self._target.info)

    async def write(self, data: bytes) -> None:
        """All of it, as the plugin has room. Raises TimeoutError where it has none for half a minute."""
        left = memoryview(data)
        while left:
            try:
                left = left[os.write(self._fifo, left) :]
            except BlockingIOError:
                async with asyncio.timeout(_ROOM_SECONDS):
                    await self._room()

    async def end(self, *, drain: bool) -> None:
        """No more comes; with `drain` once the plugin has read what is there, five seconds at most."""
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

    def _open_directory(self) -> None:
        if self._directory < 0:
            self._directory = _opened(self._target)

    def _path(self, file: str) -> str:
        return f"{_IN_ROOT if self._target.address.root else self._target.fifos}/{file}"

    async def _room(self) -> None:
        loop = asyncio.get_running_loop()
        there = asyncio.Event()
        loop.add_writer(self._fifo, there.set)
        try:
            await there.wait()
        finally:
            loop.remove_writer(self._fifo)

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
