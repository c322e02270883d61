"""A log driver that is a plugin: what it is told of a run, the entries that follow through a FIFO, and how it reads them again.

Source: Docker's "Docker log driver plugins"; moby's entry.proto:

    LogEntry                  source = 1, time_nano = 2, line = 3, partial = 4, partial_log_metadata = 5
    PartialLogEntryMetadata   last = 1, id = 2, ordinal = 3

Each entry stands behind its length in four bytes, the highest first.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from sampan.drivers.log_entries import Entry, decode_entry, encode_entry
from sampan.logs.shipping.source import Record
from sampan.plugins.faults import PluginBroke, PluginFailed
from sampan.plugins.plugin import Nothing, Plugin, Reply
from sampan.spec.document import Document, sent, wire

KIND = "LogDriver"
_SOURCES = {1: "stdout", 2: "stderr"}
_STOP_SECONDS = 10.0
_CAPABILITIES_SECONDS = 5.0
_ENTRY_LIMIT = 1 << 20
"""Bytes of one entry that is read again."""
ALL = -1
"""`Window.tail` where all are asked for."""


class Info(Document, frozen=True, rename=wire(container_id="ContainerID", container_image_id="ContainerImageID")):
    """The container whose log it is. `config` are the log options, `container_created` RFC 3339."""

    config: dict[str, str] = sent({})
    container_id: str = sent("")
    container_name: str = sent("")
    container_entrypoint: str = sent("")
    container_args: tuple[str, ...] = sent(())
    container_image_id: str = sent("")
    container_image_name: str = sent("")
    container_created: str = sent("")
    container_env: tuple[str, ...] = sent(())
    container_labels: dict[str, str] = sent({})
    log_path: str = sent("")
    daemon_name: str = sent("docker")


class _Start(Document, frozen=True):
    file: str = sent("")
    info: Info = sent(Info())


class _Stop(Document, frozen=True):
    file: str = sent("")


class Window(Document, frozen=True):
    """Which entries are read again: times as RFC 3339 has them, Go's zero time for no bound; the last `tail` of them, or ALL."""

    since: str = sent("")
    until: str = sent("")
    tail: int = sent(ALL)
    follow: bool = sent(False)


class _Read(Document, frozen=True):
    info: Info = sent(Info())
    config: Window = sent(Window())


class _Capability(Document, frozen=True):
    read_logs: bool = False


class _Capabilities(Reply, frozen=True):
    cap: _Capability = _Capability()


async def start_logging(plugin: Plugin, file: str, info: Info) -> None:
    """From now on entries come through the FIFO `file`. Raises PluginFailed."""
    await plugin.call("LogDriver.StartLogging", _Start(file, info), Nothing, patience=0.0)


async def stop_logging(plugin: Plugin, file: str) -> None:
    """No more comes. Raises PluginFailed."""
    await plugin.call("LogDriver.StopLogging", _Stop(file), Nothing, seconds=_STOP_SECONDS, patience=0.0)


async def reads(plugin: Plugin) -> bool:
    """Whether it can read again what it was given. As in Docker one that does not answer cannot."""
    try:
        answer = await plugin.call(
            "LogDriver.Capabilities", None, _Capabilities, seconds=_CAPABILITIES_SECONDS, patience=0.0
        )
    except PluginFailed:
        return False
    return answer.cap.read_logs


async def read_logs(plugin: Plugin, info: Info, window: Window) -> AsyncGenerator[list[Entry], None]:
    """What the plugin has of a container's log, as it comes; with `follow` as long as it tells more.

    Raises PluginFailed, in Docker's words.
    """
    try:
        async with (
            plugin.stream("LogDriver.ReadLogs", _Read(info, window)) as pieces,
            aclosing(_entries(pieces)) as told,
        ):
            async for entries in told:
                yield entries
    except PluginFailed as error:
        raise PluginFailed(f"error getting log reader: {error}") from error


async def _entries(pieces: AsyncIterator[bytes]) -> AsyncGenerator[list[Entry], None]:
    rest = b""
    async for piece in pieces:
        rest += piece
        at, found = 0, []
        while (begins := at + 4) <= len(rest):
            size = int.from_bytes(rest[at:begins], "big")
            if size > _ENTRY_LIMIT:
                raise PluginBroke(f"error decoding log message: an entry of {size} bytes")
            if begins + size > len(rest):
                break
            at = begins + size
            found.append(_decoded(rest[begins:at]))
        rest = rest[at:]
        if found:
            yield found
    if rest:
        raise PluginBroke("error decoding log message: unexpected EOF")


def _decoded(body: bytes) -> Entry:
    try:
        return decode_entry(body)
    except ValueError as error:
        raise PluginBroke(f"error decoding log message: {error}") from error


def entry(record: Record) -> bytes:
    """A record as the plugin reads it, its length in front."""
    source, part = _SOURCES[record.stream], record.partial
    if part is None:
        return encode_entry(Entry(source, record.time_ns, record.text))
    return encode_entry(Entry(source, record.time_ns, record.text, True, part.id, part.ordinal, part.last))
