"""Each container's lines as JSON in `ID.jsonl` in the driver's home, read again from there.

`--log-opt prefix=TEXT` stands before each.
"""

import base64
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from sampan.drivers.log import Container, LogDriver, Window
from sampan.drivers.log_entries import Entry


class Journal(LogDriver):
    """Follows by looking again: whoever asks for `follow` gets what is there, as Docker does with a run that has ended."""

    readable = True

    def __init__(self, home: Path) -> None:
        self._home = home

    def open(self, container: Container) -> "File":
        """Appends to what earlier runs have said."""
        config = dict(container.config or {})
        prefix = config.pop("prefix", "")
        if config:
            raise ValueError(f"unknown log opt '{min(config)}' for lines log driver")
        return File(self._place(container), prefix)

    def read(self, container: Container, window: Window) -> Iterator[Entry]:
        """By time, then the last of them."""
        since, until = _nanoseconds(window.since), _nanoseconds(window.until)
        entries = []
        try:
            with self._place(container).open() as file:
                for line in file:
                    entry = _entry(line)
                    if entry.time_ns >= since and (not until or entry.time_ns <= until):
                        entries.append(entry)
        except FileNotFoundError:
            return
        yield from entries[-window.tail :] if window.tail > 0 else entries if window.tail < 0 else ()

    def _place(self, container: Container) -> Path:
        if not container.container_id.isalnum():
            raise ValueError(f"no container id: {container.container_id}")
        return self._home / f"{container.container_id}.jsonl"


class File:
    """A run's sink."""

    def __init__(self, path: Path, prefix: str) -> None:
        self._file = path.open("a", buffering=1)
        self._prefix = prefix.encode()

    def write(self, entry: Entry) -> None:
        """One line of JSON; what is said may be no UTF-8, so it is base64."""
        text = base64.b64encode(self._prefix + entry.line).decode()
        part = entry.partial and not entry.last
        record = {"source": entry.source, "time": entry.time_ns, "line": text, "partial": part}
        self._file.write(json.dumps(record) + "\n")

    def close(self) -> None:
        """The run has ended."""
        self._file.close()


def _entry(line: str) -> Entry:
    record = json.loads(line)
    return Entry(record["source"], record["time"], base64.b64decode(record["line"]), record["partial"])


def _nanoseconds(text: str) -> int:
    """0 for no bound."""
    if not text:
        return 0
    second, _, fraction = text.removesuffix("Z").partition(".")
    return int(datetime.fromisoformat(f"{second}+00:00").timestamp()) * 10**9 + int(fraction.ljust(9, "0"))
