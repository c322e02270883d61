"""Log drivers that are plugins, for tests: one that collects what it is given, and one that reads it again."""

import os
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.log_entries import LogEntry, read


class Collector:
    """Reads each FIFO that it is told of, in a thread."""

    def __init__(self, directory: Path | None = None) -> None:
        """`directory`: where the FIFOs are seen from here, if that is elsewhere than the engine says."""
        self.directory = directory
        self.entries: list[Any] = []
        self.infos: list[dict[str, Any]] = []
        self.stopped: list[str] = []
        self.reading = True

    def answers(self) -> dict[str, Any]:
        return {"LogDriver.StartLogging": self.start, "LogDriver.StopLogging": self.stop}

    def start(self, body: dict[str, Any]) -> dict[str, Any]:
        self.infos.append(body["Info"])
        if self.reading:
            file = Path(body["File"])
            descriptor = os.open(file if self.directory is None else self.directory / file.name, os.O_RDONLY)
            threading.Thread(target=self.read, args=(descriptor,), daemon=True).start()
        return {"Err": ""}

    def stop(self, body: dict[str, Any]) -> dict[str, Any]:
        self.stopped.append(body["File"])
        return {}

    def read(self, descriptor: int) -> None:
        rest = b""
        while data := os.read(descriptor, 65536):
            found, rest = read(rest + data)
            self.entries += found
        os.close(descriptor)


class Rereading(Collector):
    """Answers ReadLogs, too. As plugins that stand on Docker's json-file reader do, it knows of containers that it was told of."""

    def __init__(self, directory: Path | None = None) -> None:
        super().__init__(directory)
        self.windows: list[dict[str, Any]] = []
        self.files: dict[str, str] = {}
        """by FIFO, the containers that it is told of"""
        self.ended = threading.Event()
        """set by the test: followers are told no more"""

    def answers(self) -> dict[str, Any]:
        return {
            **super().answers(),
            "LogDriver.Capabilities": {"Cap": {"ReadLogs": True}},
            "LogDriver.ReadLogs": self.read_logs,
        }

    def start(self, body: dict[str, Any]) -> dict[str, Any]:
        self.files[body["File"]] = body["Info"]["ContainerID"]
        return super().start(body)

    def stop(self, body: dict[str, Any]) -> dict[str, Any]:
        self.files.pop(body["File"], None)
        return super().stop(body)

    def read_logs(self, body: dict[str, Any]) -> Any:
        container, window = body["Info"]["ContainerID"], body["Config"]
        self.windows.append(window)
        if container not in self.files.values():
            return 500, {"Err": f"logger does not exist for {container}"}
        return self._told(container, window)

    def _told(self, container: str, window: dict[str, Any]) -> Iterator[bytes]:
        entries = [LogEntry.FromString(one.SerializeToString()) for one in self.entries]
        tail = window["Tail"]
        for one in entries[-tail:] if tail > 0 else entries if tail < 0 else []:
            yield framed(one)
        at = len(entries)
        while window["Follow"] and (container in self.files.values() or at < len(self.entries)):
            if self.ended.wait(0.01):
                return
            for one in self.entries[at:]:
                at += 1
                yield framed(one)


def framed(entry: Any) -> bytes:
    """An entry as it is read again: its line with the newline, its length in front."""
    again = LogEntry.FromString(entry.SerializeToString())
    if not again.partial or again.partial_log_metadata.last:
        again.line += b"\n"
    body: bytes = again.SerializeToString()
    return struct.pack(">I", len(body)) + body
