"""Log entries as protobuf's own library reads them, and a sender against FIFOs that are read, and not."""

import asyncio
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sampan.logs.shipping.jobs import Facts, Job
from sampan.logs.shipping.source import Partial, Record
from sampan.logs.shipping.transports import Undelivered
from sampan.plugins.log_driver import Info, entry
from sampan.plugins.log_sender import Target, sender
from sampan.plugins.places import Address
from tests.log_entries import read
from tests.plugin_servers import served

PARTS = st.none() | st.builds(Partial, st.text("0123456789abcdef"), st.integers(0, 2**31 - 1), st.booleans())


@given(st.integers(1, 2), st.binary(max_size=300), st.integers(0, 2**63 - 1), PARTS)
def test_an_entry_is_what_protobuf_reads(stream: int, text: bytes, moment: int, part: Partial | None) -> None:
    ((found,), rest) = read(entry(Record(stream, text, moment, part)))
    assert rest == b""
    assert (found.source, found.line, found.time_nano) == ("stdout" if stream == 1 else "stderr", text, moment)
    assert found.partial == (part is not None)
    if part is not None:
        metadata = found.partial_log_metadata
        assert (metadata.id, metadata.ordinal, metadata.last) == (part.id, part.ordinal, part.last)


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


def job(directory: Path, address: Address | None) -> Job:
    import msgspec

    info = Info(container_id="c1", container_name="/one")
    target = "" if address is None else msgspec.json.encode(Target(address, str(directory / "fifos"), info)).decode()
    facts = Facts("c1", "one", "", "", "", "", "", "")
    return Job("p", {}, str(directory / "log"), facts, 1, True, target)


RECORDS = [Record(1, b"line %d" % number, number) for number in range(1000)]


def test_records_arrive_in_order_and_nothing_is_left(tmp_path: Path) -> None:
    async def ship() -> None:
        one = sender(job(tmp_path, Address(socket=str(tmp_path / "p.sock"))))
        await one.send(RECORDS)
        await one.close()

    collector = Collector()
    with served(tmp_path / "p.sock", "LogDriver", collector.answers()):
        asyncio.run(ship())
        deadline = time.monotonic() + 5
        while len(collector.entries) < len(RECORDS) and time.monotonic() < deadline:
            time.sleep(0.01)
    assert [found.line for found in collector.entries] == [record.text for record in RECORDS]
    assert collector.infos[0]["ContainerID"] == "c1"
    assert len(collector.stopped) == 1
    assert os.listdir(tmp_path / "fifos") == []


def test_a_plugin_that_is_nowhere_or_away(tmp_path: Path) -> None:
    for address in (None, Address(socket=str(tmp_path / "gone.sock"))):
        with pytest.raises(Undelivered) as caught:
            asyncio.run(sender(job(tmp_path, address)).send(RECORDS))
        assert caught.value.delivered == 0


def test_one_that_does_not_read_is_started_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sampan.plugins.log_sender._ROOM_SECONDS", 0.2)
    collector = Collector()
    collector.reading = False
    large = [Record(1, b"x" * 8000, 1) for _ in range(20)]

    async def ship() -> int:
        one = sender(job(tmp_path, Address(socket=str(tmp_path / "p.sock"))))
        with pytest.raises(Undelivered) as caught:
            await one.send(large)
        collector.reading = True
        await one.send(large[caught.value.delivered :])
        await one.close()
        return caught.value.delivered

    with served(tmp_path / "p.sock", "LogDriver", collector.answers()):
        delivered = asyncio.run(ship())
        deadline = time.monotonic() + 5
        while len(collector.entries) < len(large) - delivered and time.monotonic() < deadline:
            time.sleep(0.01)
    assert 0 < delivered < 10
    assert len(collector.entries) == len(large) - delivered
    assert len(collector.infos) == len(collector.stopped) == 2


def test_fifos_of_a_shipper_that_died_go(tmp_path: Path) -> None:
    (tmp_path / "fifos").mkdir()
    os.mkfifo(tmp_path / "fifos" / "c1-dead")
    os.mkfifo(tmp_path / "fifos" / "c2-other")
    collector = Collector()

    async def ship() -> None:
        one = sender(job(tmp_path, Address(socket=str(tmp_path / "p.sock"))))
        await one.send(RECORDS[:1])
        await one.close()

    with served(tmp_path / "p.sock", "LogDriver", collector.answers()):
        asyncio.run(ship())
    assert os.listdir(tmp_path / "fifos") == ["c2-other"]
    assert str(tmp_path / "fifos" / "c1-dead") in collector.stopped
