"""Log drivers: where the lines go that a container says, and where they can be read again.

Source: Docker's "Docker log driver plugins": lines come through a FIFO, each a protocol buffer behind its length in four bytes.
Entry points: `sampan.log`.
"""

import logging
import os
import select
import stat
import threading
from collections.abc import Iterable, Iterator
from dataclasses import replace
from io import FileIO
from typing import Protocol

from msgspec import structs

from sampan.drivers.calls import Call, Calls, Nothing
from sampan.drivers.log_entries import Entry, decode_entry, encode_entry
from sampan.spec.document import Document, sent, wire

KIND = "LogDriver"

_log = logging.getLogger("sampan.drivers")
_ENTRY_LIMIT = 1 << 20
"""Bytes of one entry. A longer line comes in parts of 16 KiB."""
_STOP_SECONDS = 5.0
_ZERO = "0001-01-01T00:00:00"
_LOOK_MILLISECONDS = 100
"""How often a run that says nothing is asked whether it is over."""


class Container(Document, frozen=True, rename=wire(container_id="ContainerID", container_image_id="ContainerImageID")):
    """Whose lines they are. `config` is what the user gave as `--log-opt`."""

    container_id: str = ""
    container_name: str = ""
    container_image_id: str = ""
    container_image_name: str = ""
    container_env: tuple[str, ...] = ()
    container_labels: dict[str, str] | None = None
    daemon_name: str = ""
    config: dict[str, str] | None = None


class Window(Document, frozen=True):
    """Which lines are asked for: times as RFC 3339 has them, "" for no bound; the last `tail` of them, all where it is negative."""

    since: str = ""
    until: str = ""
    tail: int = -1
    follow: bool = False


class Sink(Protocol):
    """Where one run's lines go. Called by one thread."""

    def write(self, entry: Entry) -> None:
        """One line, or a part of one. What it raises ends the logging of this run."""
        ...

    def close(self) -> None:
        """The run has ended and every line was given."""
        ...


class LogDriver(Protocol):
    """All methods may be called from several threads at once. What they raise is told to the user as it reads."""

    readable: bool = False
    """Whether `read` works. Where it does not the daemon keeps a copy of its own for `docker logs`."""

    def open(self, container: Container) -> Sink:
        """A run begins. Raises ValueError for options that mean nothing."""
        ...

    def read(self, container: Container, window: Window) -> Iterable[Entry]:
        """The lines again, oldest first, as they were written; with `follow` until the run ends. Only where `readable`."""
        raise NotImplementedError("this log driver does not support reading")


class _Start(Document, frozen=True):
    file: str = ""
    info: Container = Container()


class _Read(Document, frozen=True):
    info: Container = Container()
    config: Window = Window()


class _Reads(Document, frozen=True):
    read_logs: bool = sent(False)


class _Capabilities(Document, frozen=True):
    cap: _Reads


def calls(driver: LogDriver) -> Calls:
    """What the plugin protocol asks of a log driver, answered by `driver`."""
    runs: dict[str, _Run] = {}

    def start(asked: _Start) -> Nothing:
        sink = driver.open(asked.info)
        try:
            stream = _fifo(asked.file)
        except OSError:
            sink.close()
            raise
        runs[asked.file] = _Run(stream, sink)
        return Nothing()

    def stop(asked: _Start) -> Nothing:
        if (run := runs.pop(asked.file, None)) is not None:
            run.stop()
        return Nothing()

    def read(asked: _Read) -> Iterator[bytes]:
        return (encode_entry(_ended(entry)) for entry in driver.read(asked.info, _bounds(asked.config)))

    return {
        f"{KIND}.StartLogging": Call(_Start, start),
        f"{KIND}.StopLogging": Call(_Start, stop),
        f"{KIND}.ReadLogs": Call(_Read, read),
        f"{KIND}.Capabilities": Call(Nothing, lambda _: _Capabilities(_Reads(driver.readable))),
    }


def _bounds(window: Window) -> Window:
    """Without Go's zero time, which a daemon sends for no bound."""
    return structs.replace(
        window,
        since="" if window.since.startswith(_ZERO) else window.since,
        until="" if window.until.startswith(_ZERO) else window.until,
    )


def _ended(entry: Entry) -> Entry:
    """With the newline that Docker expects of what it reads, and does not send itself."""
    return entry if entry.partial and not entry.last else replace(entry, line=entry.line + b"\n")


class _Run:
    """A container's run: a thread that reads its FIFO until the daemon has closed it, or says that it is over."""

    def __init__(self, stream: FileIO, sink: Sink) -> None:
        self._stream = stream
        self._sink = sink
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._drain, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """What is in the FIFO still is read. A daemon that leaves within an entry is not waited for."""
        self._over.set()
        self._thread.join(_STOP_SECONDS)

    def _drain(self) -> None:
        try:
            with self._stream:
                while (entry := self._next()) is not None:
                    self._sink.write(entry)
        except Exception:  # noqa: BLE001 - another's code: it must not end the process
            _log.exception("a run's lines are read no more")
        finally:
            self._sink.close()

    def _next(self) -> Entry | None:
        if not self._wait():
            return None
        head = self._exactly(4)
        size = int.from_bytes(head, "big")
        if size > _ENTRY_LIMIT:
            raise ValueError(f"an entry of {size} bytes")
        body = self._exactly(size)
        return decode_entry(body) if len(head) == 4 and len(body) == size else None

    def _wait(self) -> bool:
        """Until there is something to read, or the end. The daemon holds the FIFO open while it says that the run is over."""
        ready = select.poll()
        ready.register(self._stream, select.POLLIN)
        while not ready.poll(_LOOK_MILLISECONDS):
            if self._over.is_set():
                return False
        return True

    def _exactly(self, size: int) -> bytes:
        """Less where the FIFO ends before."""
        found = b""
        while len(found) < size and (piece := self._stream.read(size - len(found))):
            found += piece
        return found


def _fifo(path: str) -> FileIO:
    """Raises OSError where it is none."""
    # Not waiting: the daemon opens its end whenever it likes, before or after. Until then poll(2) tells nothing.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISFIFO(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{path} is no FIFO")
    os.set_blocking(descriptor, True)
    return FileIO(descriptor)
