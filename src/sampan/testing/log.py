"""The suite of log drivers."""

import json
import os
import time
from pathlib import Path
from typing import Any, ClassVar

from sampan.drivers.asking import asked
from sampan.drivers.log import KIND
from sampan.drivers.log_entries import Entry, decode_entry, encode_entry
from sampan.testing.suite import SECONDS, Suite


class LogDriverSuite(Suite):
    """What Sampan relies on in a log driver. `options` are given with each run; `wrong_options` are to be refused, if any."""

    kind: ClassVar[str] = KIND
    options: ClassVar[dict[str, str]] = {}
    wrong_options: ClassVar[dict[str, str]] = {}

    def container(self, number: int = 1, **config: str) -> dict[str, Any]:
        """What the daemon tells of a container."""
        return {
            "ContainerID": f"{number:064x}",
            "ContainerName": f"/container-{number}",
            "ContainerImageName": "busybox",
            "ContainerEnv": [],
            "ContainerLabels": {},
            "DaemonName": "sampan",
            "Config": {**self.options, **config},
        }

    def fifo(self, name: str) -> Path:
        """A FIFO that is not open yet."""
        path = self.directory / name
        os.mkfifo(path, 0o600)
        return path

    def run(self, number: int, entries: list[Entry], tail: bytes = b"") -> None:
        """A run from its beginning to its end, with these lines, and then bytes that are no line."""
        path = self.fifo(f"fifo-{number}-{time.monotonic_ns()}")
        self.ask("StartLogging", File=str(path), Info=self.container(number))
        with path.open("wb") as stream:
            for entry in entries:
                stream.write(encode_entry(entry))
            stream.write(tail)
        self.ask("StopLogging", File=str(path))

    def read(self, number: int, **window: Any) -> list[Entry]:  # noqa: ANN401 - members of a JSON document
        """What ReadLogs answers, entry by entry."""
        body = json.dumps({"Info": self.container(number), "Config": {"Tail": -1, **window}}).encode()
        status, stream = asked(self.address or str(self.directory / "socket"), f"{KIND}.ReadLogs", body, SECONDS)
        assert status == 200, stream
        entries = []
        while stream:
            size = int.from_bytes(stream[:4], "big")
            entries.append(decode_entry(stream[4 : 4 + size]))
            stream = stream[4 + size :]
        return entries

    @property
    def readable(self) -> bool:
        """Whether the driver says so."""
        return bool((self.ask("Capabilities").get("Cap") or {}).get("ReadLogs"))

    def test_lines_are_taken_and_read_again(self) -> None:
        """In order, with their times and sources; where it reads at all."""
        said = [Entry("stdout", 1_700_000_000_000_000_000 + number, f"line {number}".encode()) for number in range(50)]
        said.append(Entry("stderr", 1_700_000_000_000_000_099, b"\xff\xfe no UTF-8"))
        self.run(1, said)
        if self.readable:
            found = self.read(1)
            assert [(one.source, one.time_ns, one.line.rstrip(b"\n")) for one in found] == [
                (one.source, one.time_ns, one.line) for one in said
            ]
            assert [one.line.rstrip(b"\n") for one in self.read(1, Tail=1)] == [said[-1].line]

    def test_containers_are_kept_apart(self) -> None:
        """One does not read another's lines."""
        for number in (1, 2):
            self.run(number, [Entry("stdout", 1, f"of {number}".encode())])
        if self.readable:
            assert [one.line.rstrip(b"\n") for one in self.read(2)] == [b"of 2"]

    def test_a_line_in_parts(self) -> None:
        """Is taken as it comes."""
        parts = [Entry("stdout", 5, b"x" * 16384, True, "id", 1), Entry("stdout", 5, b"end", False, "id", 2, True)]
        self.run(1, parts)

    def test_a_torn_entry_is_no_end_of_the_driver(self) -> None:
        """The daemon died in the midst of one."""
        self.run(1, [Entry("stdout", 1, b"whole")], tail=b"\0\0\0\x20torn")
        self.run(2, [Entry("stdout", 1, b"another")])

    def test_a_run_without_lines(self) -> None:
        """Begins and ends."""
        self.run(1, [])

    def test_a_fifo_that_stays_open_holds_up_nothing(self) -> None:
        """Docker tells the end of a run before it closes its own end of the FIFO."""
        path = self.fifo("open")
        self.ask("StartLogging", File=str(path), Info=self.container(3))
        with path.open("wb") as stream:
            stream.write(encode_entry(Entry("stdout", 1, b"said")))
            stream.flush()
            began = time.monotonic()
            self.ask("StopLogging", File=str(path))
            assert time.monotonic() - began < 3
        if self.readable:
            assert [one.line.rstrip(b"\n") for one in self.read(3)] == [b"said"]

    def test_a_file_that_is_no_fifo_is_refused(self) -> None:
        """Nor one that is missing."""
        (self.directory / "plain").touch()
        for name in ("plain", "missing"):
            self.refused("StartLogging", File=str(self.directory / name), Info=self.container())

    def test_options_that_mean_nothing_are_refused(self) -> None:
        """Before anything is started."""
        if self.wrong_options:
            path = self.fifo("fifo")
            self.refused("StartLogging", File=str(path), Info=self.container(1, **self.wrong_options))
