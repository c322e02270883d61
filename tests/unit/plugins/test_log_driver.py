"""Log entries as protobuf's own library reads them, and a sender against FIFOs that are read, and not."""

import asyncio
import os
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sampan.logs.shipping.jobs import Facts, Job
from sampan.logs.shipping.source import Partial, Record
from sampan.logs.shipping.transports import Undelivered
from sampan.plugins.faults import PluginFailed
from sampan.plugins.log_driver import Info, Window, entry, read_logs, reads
from sampan.plugins.log_fifo import Target
from sampan.plugins.log_sender import sender
from sampan.plugins.places import Address, Places
from sampan.plugins.plugins import Plugins
from tests.log_entries import LogEntry, read
from tests.log_plugins import Collector, framed
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
    monkeypatch.setattr("sampan.plugins.log_fifo._ROOM_SECONDS", 0.2)
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


def read_again(directory: Path, pieces: list[bytes]) -> list[tuple[str, bytes]]:
    async def work() -> list[tuple[str, bytes]]:
        plugin = await Plugins([Places.only((directory,))]).get("p", "LogDriver", patience=0)
        assert await reads(plugin)
        told = read_logs(plugin, Info(container_id="c1"), Window(tail=5))
        return [(one.source, one.line) async for entries in told for one in entries]

    cap = {"LogDriver.Capabilities": {"cap": {"readlogs": True}}}
    with served(directory / "p.sock", "LogDriver", {**cap, "LogDriver.ReadLogs": lambda _: iter(pieces)}) as plugin:
        found = asyncio.run(asyncio.wait_for(work(), 20))
        assert plugin.of("LogDriver.ReadLogs")[0]["Config"] == {"Since": "", "Until": "", "Tail": 5, "Follow": False}
    return found


ENTRIES = b"".join(framed(LogEntry(source="stdout", time_nano=n, line=b"line %d" % n)) for n in range(3))


@pytest.mark.parametrize("size", [1, 3, 7, 100_000])
def test_entries_are_read_however_they_are_cut(tmp_path: Path, size: int) -> None:
    pieces = [ENTRIES[at : at + size] for at in range(0, len(ENTRIES), size)]
    assert read_again(tmp_path, pieces) == [("stdout", b"line %d\n" % n) for n in range(3)]


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (ENTRIES[:-1], "unexpected EOF"),
        (b"\0\x10\0\x01" + b"x" * 70_000, "an entry of 1048577 bytes"),
        (b"\0\0\0\x02\xff\xff", "a number without an end"),
        (b"\0\0\0\x02\x08\x01", "field 1 is a number"),
    ],
)
def test_what_is_no_entry(tmp_path: Path, bad: bytes, words: str) -> None:
    with pytest.raises(PluginFailed, match=f"error getting log reader: .*error decoding log message: .*{words}"):
        read_again(tmp_path, [bad])


def test_one_that_does_not_say_whether_it_reads(tmp_path: Path) -> None:
    async def asked() -> bool:
        return await reads(await Plugins([Places.only((tmp_path,))]).get("p", "LogDriver", patience=0))

    answers: list[Any] = [(404, b"404 page not found"), {"Err": "no"}, b"{", {"Cap": None}, {}]
    for answer in answers:
        with served(tmp_path / "p.sock", "LogDriver", {"LogDriver.Capabilities": answer}):
            assert asyncio.run(asked()) is False
