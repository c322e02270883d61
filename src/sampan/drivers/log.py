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
from typing import BinaryIO, Protocol

from sampan.drivers.calls import Call, Calls, Nothing
from sampan.drivers.log_entries import Entry, decode_entry, encode_entry
from sampan.spec.document import Document, sent, wire

KIND = "LogDriver"

_log = logging.getLogger("sampan.drivers")
_ENTRY_LIMIT = 1 << 20
"""Bytes of one entry. A longer line comes in parts of 16 KiB."""


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
    """Which lines are asked for: times as RFC 3339 has them, "" for no bound; `tail` the number of the last, -1 for all."""

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
        """The lines again, oldest first; with `follow` until the run ends. Only where `readable`."""
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
    runs: dict[str, threading.Thread] = {}

    def start(asked: _Start) -> Nothing:
        sink = driver.open(asked.info)
        try:
            stream = _fifo(asked.file)
        except OSError:
            sink.close()
            raise
        runs[asked.file] = threading.Thread(target=_drain, args=(stream, sink), daemon=True)
        runs[asked.file].start()
        return Nothing()

    def stop(asked: _Start) -> Nothing:
        # The daemon closes its end first: what is in the FIFO still is read before the sink is closed.
        if (run := runs.pop(asked.file, None)) is not None:
            run.join()
        return Nothing()

    def read(asked: _Read) -> Iterator[bytes]:
        return (encode_entry(entry) for entry in driver.read(asked.info, asked.config))

    return {
        f"{KIND}.StartLogging": Call(_Start, start),
        f"{KIND}.StopLogging": Call(_Start, stop),
        f"{KIND}.ReadLogs": Call(_Read, read),
        f"{KIND}.Capabilities": Call(Nothing, lambda _: _Capabilities(_Reads(driver.readable))),
    }


def _fifo(path: str) -> BinaryIO:
    """Raises OSError where it is none."""
    # Not waiting: the daemon opens its end whenever it likes, before or after.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISFIFO(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{path} is no FIFO")
    return os.fdopen(descriptor, "rb")


def _drain(stream: BinaryIO, sink: Sink) -> None:
    try:
        with stream:
            # Before the daemon has opened its end a read would find the end; poll(2) tells nothing until then.
            opened = select.poll()
            opened.register(stream, select.POLLIN)
            opened.poll()
            os.set_blocking(stream.fileno(), True)
            while (entry := _next(stream)) is not None:
                sink.write(entry)
    except Exception:  # noqa: BLE001 - another's code: it must not end the process
        _log.exception("a run's lines are read no more")
    finally:
        sink.close()


def _next(stream: BinaryIO) -> Entry | None:
    head = stream.read(4)
    if len(head) < 4:
        return None
    size = int.from_bytes(head, "big")
    if size > _ENTRY_LIMIT:
        raise ValueError(f"an entry of {size} bytes")
    body = stream.read(size)
    return decode_entry(body) if len(body) == size else None
