"""A log driver that is a plugin: what it is told with StartLogging, and the entries that follow through a FIFO.

Source: Docker's "Docker log driver plugins"; moby's entry.proto:

    LogEntry                  source = 1, time_nano = 2, line = 3, partial = 4, partial_log_metadata = 5
    PartialLogEntryMetadata   last = 1, id = 2, ordinal = 3

Each entry stands behind its length in four bytes, the highest first.
"""

from sampan.drivers.log_entries import Entry, encode_entry
from sampan.logs.shipping.source import Record
from sampan.plugins.plugin import Nothing, Plugin
from sampan.spec.document import Document, sent, wire

KIND = "LogDriver"
_SOURCES = {1: "stdout", 2: "stderr"}
_STOP_SECONDS = 10.0


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


async def start_logging(plugin: Plugin, file: str, info: Info) -> None:
    """From now on entries come through the FIFO `file`. Raises PluginFailed."""
    await plugin.call("LogDriver.StartLogging", _Start(file, info), Nothing, patience=0.0)


async def stop_logging(plugin: Plugin, file: str) -> None:
    """No more comes. Raises PluginFailed."""
    await plugin.call("LogDriver.StopLogging", _Stop(file), Nothing, seconds=_STOP_SECONDS, patience=0.0)


def entry(record: Record) -> bytes:
    """A record as the plugin reads it, its length in front."""
    source, part = _SOURCES[record.stream], record.partial
    if part is None:
        return encode_entry(Entry(source, record.time_ns, record.text))
    return encode_entry(Entry(source, record.time_ns, record.text, True, part.id, part.ordinal, part.last))
