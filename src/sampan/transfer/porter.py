"""Starting a porter (`process.py`) and hearing it: the daemon's side. Everything here runs on the event loop.

The process is executed, not forked: the daemon has threads and secrets, and a porter that enters a container must have
neither. It ends with the daemon, with its order, or when its archive finds no reader.
"""

import array
import asyncio
import errno
import fcntl
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec

import sampan
from sampan.errors import InvalidParameter, NotFound, SampanError, System
from sampan.files.tar_reader import BadArchive
from sampan.kernel.files import sealed_file
from sampan.transfer import orders

_PACKAGES = str(Path(sampan.__file__).parents[1])
_PROGRAM = (
    "import sys; sys.path.append(sys.argv.pop(1)); sys.dont_write_bytecode = True; "
    "from sampan.transfer.process import main; main()"
)
_PIPE = 1 << 20
_CHUNK = 1 << 18


class PathMissing(NotFound):
    """There is nothing at the path; the caller knows how Docker calls it."""


@dataclass(frozen=True, slots=True)
class View:
    """What a porter sees. `running`: `descriptors` are the mount namespace and, where the container has one, its user namespace;
    else the root's mount and what is attached at `places`.

    The descriptors are the receiver's, who closes them.
    """

    running: bool
    descriptors: tuple[int, ...]
    places: tuple[str, ...] = ()
    readonly: bool = False


@dataclass(frozen=True, slots=True)
class PathStat:
    """What stands at a path: `mode` as in stat(2), `target` where a link leads inside the container."""

    name: str
    size: Annotated[int, msgspec.Meta(ge=0)]
    mode: Annotated[int, msgspec.Meta(ge=0, lt=1 << 32)]
    mtime_ns: int
    target: str


class Report(msgspec.Struct, frozen=True):
    """One message of a porter's: `failed` is the kind of what went wrong, "" where nothing did."""

    failed: str = ""
    message: str = ""
    errno: Annotated[int, msgspec.Meta(ge=0, lt=4096)] = 0
    stat: PathStat | None = None


class Porter:
    """One porter at work. `close` has to be awaited in any case."""

    def __init__(self, act: str, view: View, path: str = "", *, keep_kinds: bool = False, user: str = "") -> None:
        """Start it with its order. Closes the view's descriptors. Raises OSError."""
        self.pipe = -1
        """our end of the archive's pipe: written to for WRITE, read from for READ and EXPORT; -1 for STAT and HOLD"""
        order = {
            "act": act,
            "path": path,
            "running": view.running,
            "places": view.places,
            "readonly": view.readonly,
            "keep_kinds": keep_kinds,
            "user": user,
        }
        with ExitStack() as passed_on, ExitStack() as kept:
            for descriptor in view.descriptors:
                passed_on.callback(os.close, descriptor)
            theirs = -1
            if act not in (orders.STAT, orders.HOLD):
                reading, writing = os.pipe()
                self.pipe, theirs = (writing, reading) if act == orders.WRITE else (reading, writing)
                kept.callback(self.close_pipe)
                passed_on.callback(os.close, theirs)
                fcntl.fcntl(self.pipe, fcntl.F_SETPIPE_SZ, _PIPE)
                os.set_blocking(self.pipe, False)
            self._control, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            kept.enter_context(self._control)
            passed_on.enter_context(other)
            self._pid = _start(other.fileno(), theirs, writes=act == orders.WRITE)
            kept.callback(_reap, self._pid)
            self._pidfd = os.pidfd_open(self._pid)
            kept.callback(os.close, self._pidfd)
            _send(self._control, json.dumps(order).encode(), view.descriptors)
            kept.pop_all()
        self._control.setblocking(False)
        self._closed: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int:
        """The process."""
        return self._pid

    async def held(self) -> None:
        """Wait until it has the root. Raises SampanError."""
        await self._hear()

    async def stat(self) -> PathStat:
        """What stands at the order's path. Raises PathMissing, SampanError."""
        report = await self._hear()
        if report.stat is None:
            raise System("the process that carries the files does not say what stands at the path")
        return report.stat

    async def archive(self) -> AsyncIterator[bytes]:
        """The tar, as it comes; ends by raising SampanError where it is not whole."""
        while chunk := await _read(self.pipe):
            yield chunk
        await self.outcome()

    async def outcome(self) -> None:
        """Wait for the end of the order. Raises SampanError of the fitting kind where it was not carried out."""
        await self._hear()

    async def _hear(self) -> Report:
        message = await asyncio.get_running_loop().sock_recv(self._control, orders.MESSAGE)
        if not message:
            raise System("the process that carries the files has ended without a word")
        report = report_of(message)
        if report.failed:
            raise _failure(report)
        return report

    def kill(self) -> None:
        """End it at once; who reads or waits hears that it has ended."""
        signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    async def close(self) -> None:
        """End it where it still works, and wait until it is gone. May be called more than once."""
        if self._closed is None:
            self._closed = asyncio.get_running_loop().create_task(self._close())
        await asyncio.shield(self._closed)

    async def _close(self) -> None:
        try:
            self.kill()
        except ProcessLookupError:
            pass  # it has ended by itself
        await _readable(self._pidfd)
        os.waitpid(self._pid, os.WNOHANG)  # noqa: ASYNC222 - its pidfd is readable: it has ended
        os.close(self._pidfd)
        self._control.close()
        self.close_pipe()

    def close_pipe(self) -> None:
        """The archive's end has come."""
        if self.pipe >= 0:
            os.close(self.pipe)
            self.pipe = -1


def _start(control: int, archive: int, *, writes: bool) -> int:
    """Execute the porter; its pid. Every other descriptor of this process is close-on-exec (PEP 446)."""
    python = sys.executable
    arguments = [python, "-I", "-S", "-B", "-c", _PROGRAM, _PACKAGES, str(os.getpid())]
    copies: list[int] = []
    with ExitStack() as opened:
        for descriptor in (control, archive):
            if descriptor >= 0:
                # Above the numbers that are dealt out, so that no dup2 overwrites what a later one reads.
                copies.append(fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 10))
                opened.callback(os.close, copies[-1])
        actions: list[tuple[Any, ...]] = [
            (os.POSIX_SPAWN_OPEN, orders.INPUT, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, orders.OUTPUT, "/dev/null", os.O_WRONLY, 0),
            (os.POSIX_SPAWN_OPEN, 2, "/dev/null", os.O_WRONLY, 0),
            (os.POSIX_SPAWN_DUP2, copies[0], orders.CONTROL),
        ]
        if archive >= 0:
            actions.append((os.POSIX_SPAWN_DUP2, copies[1], orders.INPUT if writes else orders.OUTPUT))
        return os.posix_spawn(python, arguments, {}, file_actions=actions)


def _reap(pid: int) -> None:
    """End a porter that has no order."""
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def _send(control: socket.socket, order: bytes, descriptors: Sequence[int]) -> None:
    if len(descriptors) >= orders.MOST_DESCRIPTORS or len(order) > orders.ORDER_LIMIT:
        raise InvalidParameter("the container has too many mounts for its files to be copied")
    text = sealed_file("order", order)
    try:
        rights = array.array("i", [text, *descriptors])
        control.sendmsg([b"o"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
    finally:
        os.close(text)


def report_of(message: bytes) -> Report:
    """What a porter says, which stands in a container's root: nothing of it is believed but its form. Raises System."""
    try:
        # Not msgspec's own reader: names that are no UTF-8 come as lone surrogates, which it refuses.
        return msgspec.convert(json.loads(message), Report)
    except (ValueError, RecursionError) as error:
        raise System(f"the process that carries the files speaks nonsense: {error}") from error


def _failure(report: Report) -> SampanError:
    message = report.message
    match report.failed:
        case orders.MISSING:
            return PathMissing(message)
        case orders.NOT_A_DIRECTORY:
            return InvalidParameter("extraction point is not a directory")
        case orders.READ_ONLY_ROOT:
            return InvalidParameter("container rootfs is marked read-only")
        case orders.READ_ONLY_MOUNT:
            return InvalidParameter("mounted volume is marked read-only")
        case orders.ARCHIVE:
            return BadArchive(message)
        case orders.USER:
            return InvalidParameter(message)
        case _:
            return System(os.strerror(report.errno).lower() if report.errno else message)


async def _read(pipe: int) -> bytes:
    while True:
        try:
            return os.read(pipe, _CHUNK)
        except BlockingIOError:
            await _readable(pipe)


async def _readable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(descriptor, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(descriptor)


async def write(pipe: int, data: bytes) -> bool:
    """All of `data` into a porter's pipe, waiting for room; whether the porter still reads."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(pipe, view) :]
        except BlockingIOError:
            await _writable(pipe)
        except OSError as error:
            if error.errno != errno.EPIPE:
                raise
            return False
    return True


async def _writable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_writer(descriptor, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_writer(descriptor)
