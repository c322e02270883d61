"""Packing renamed files: nothing is lost or doubled, whatever is renamed, read or killed meanwhile."""

import asyncio
import gzip
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sampan.logs import compression
from sampan.logs.clearing import clear
from sampan.logs.compression import pack_renamed
from sampan.logs.jsonfile_writer import JsonFileWriter
from sampan.logs.line_writer import LineWriter
from sampan.logs.local_writer import LocalWriter
from sampan.logs.reader import follow, past
from sampan.logs.reading import Query

PROJECT = Path(__file__).parents[3]

Make = Callable[[str, int, int], LineWriter]


def json_file(path: str, size: int, files: int) -> LineWriter:
    return JsonFileWriter(path, size, files, compress=True)


def local(path: str, size: int, files: int) -> LineWriter:
    return LocalWriter(path, size, files, compress=True)


@pytest.fixture(params=["x-json.log", "container.log"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / str(request.param)


@pytest.fixture
def make(path: Path) -> Make:
    return json_file if path.name.endswith("-json.log") else local


def numbers(path: Path, query: Query = Query()) -> list[int]:  # noqa: B008 - frozen
    return [int(entry.line) for batch in past(str(path), query) for entry in batch]


def write(writer: LineWriter, count: int) -> None:
    for number in range(count):
        writer.feed(1, b"%d\n" % number)
    writer.close()


def test_packed_files_read_as_before(tmp_path: Path, path: Path, make: Make) -> None:
    write(make(str(path), 5000, 20), 1000)
    assert pack_renamed(str(path)) > 3
    assert pack_renamed(str(path)) == 0
    packed = sorted(file.name for file in tmp_path.glob("*.gz"))
    assert f"{path.name}.1.gz" in packed
    assert not list(tmp_path.glob(f"{path.name}.[0-9]"))
    assert gzip.decompress((tmp_path / packed[0]).read_bytes()).endswith(b"\n")
    assert numbers(path) == list(range(1000))
    assert numbers(path, Query(tail=700)) == list(range(300, 1000))
    assert numbers(path, Query(tail=2)) == [998, 999]


def test_rotation_renames_packed_files_and_drops_the_oldest(tmp_path: Path, path: Path, make: Make) -> None:
    writer = make(str(path), 2000, 4)
    for number in range(2000):
        writer.feed(1, b"%d\n" % number)
        if number % 7 == 0:
            pack_renamed(str(path))
    writer.close()
    pack_renamed(str(path))
    assert sorted(file.name for file in tmp_path.glob("*.gz")) == [f"{path.name}.{n}.gz" for n in (1, 2, 3)]
    read = numbers(path)
    assert read == list(range(2000 - len(read), 2000))
    assert len(read) > 40


PACKER = """
import sys
sys.path.insert(0, {source!r})
from sampan.logs.compression import pack_renamed
while True:
    pack_renamed({path!r})
"""


def test_writing_packing_and_reading_at_once(tmp_path: Path, path: Path, make: Make) -> None:
    packer = subprocess.Popen([sys.executable, "-c", PACKER.format(source=str(PROJECT / "src"), path=str(path))])

    async def main() -> list[int]:
        seen: list[int] = []
        ended = asyncio.Event()

        async def read() -> None:
            async for batch in follow(str(path), Query(), ended):
                seen.extend(int(entry.line) for entry in batch)

        task = asyncio.create_task(read())
        writer = make(str(path), 3000, 500)
        for number in range(6000):
            writer.feed(1, b"%d\n" % number)
            if number % 200 == 0:
                await asyncio.sleep(0.001)
        writer.close()
        ended.set()
        async with asyncio.timeout(30):
            await task
        return seen

    try:
        seen = asyncio.run(main())
    finally:
        packer.kill()
        packer.wait()
    assert seen == list(range(6000))
    assert numbers(path) == list(range(6000))


def test_a_follower_goes_on_behind_a_file_that_was_packed(tmp_path: Path, path: Path, make: Make) -> None:

    async def main() -> list[int]:
        seen: list[int] = []
        ended = asyncio.Event()
        writer = make(str(path), 1000, 50)
        writer.feed(1, b"0\n")
        reading = follow(str(path), Query(), ended)
        seen += [int(entry.line) for entry in await anext(reading)]
        for number in range(1, 200):
            writer.feed(1, b"%d\n" % number)
        writer.close()
        pack_renamed(str(path))
        ended.set()
        async for batch in reading:
            seen += [int(entry.line) for entry in batch]
        return seen

    assert asyncio.run(main()) == list(range(200))


KILLED = """
import os, signal, sys
sys.path.insert(0, {source!r})
from sampan.logs import compression
real = {{"rename": os.rename, "unlink": os.unlink, "fsync": os.fsync}}
def dies(name):
    def call(*words):
        if {before}:
            os.kill(os.getpid(), signal.SIGKILL)
        real[name](*words)
        os.kill(os.getpid(), signal.SIGKILL)
    return call
setattr(os, {call!r}, dies({call!r}))
compression.pack_renamed({path!r})
"""


@pytest.mark.parametrize("call", ["fsync", "rename", "unlink"])
@pytest.mark.parametrize("before", [True, False])
def test_killed_in_between_nothing_is_lost_or_doubled(
    tmp_path: Path, path: Path, make: Make, call: str, before: bool
) -> None:
    write(make(str(path), 5000, 20), 400)
    program = KILLED.format(source=str(PROJECT / "src"), before=before, call=call, path=str(path))
    died = subprocess.run([sys.executable, "-c", program], check=False)
    assert died.returncode == -signal.SIGKILL
    assert numbers(path) == list(range(400))
    # The next run of the container renames what the crash left, and the next packing mends it.
    writer = make(str(path), 5000, 20)
    for number in range(400, 800):
        writer.feed(1, b"%d\n" % number)
    writer.close()
    assert numbers(path) == list(range(800))
    assert pack_renamed(str(path)) > 0
    assert numbers(path) == list(range(800))
    assert not list(tmp_path.glob(f"{path.name}.[0-9]"))


def test_a_log_that_is_cleared_while_it_is_packed(
    tmp_path: Path, path: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(make(str(path), 2000, 9), 200)
    packing = compression._pack

    def then_cleared(source: object, target: str) -> None:
        packing(source, target)  # type: ignore[arg-type]
        clear(str(path))

    monkeypatch.setattr(compression, "_pack", then_cleared)
    pack_renamed(str(path))
    assert numbers(path) == []
    assert {file.name for file in tmp_path.iterdir()} == {path.name, f"{path.name}.lock"}


def test_the_writer_does_not_wait_for_names(tmp_path: Path, path: Path, make: Make) -> None:
    writer = make(str(path), 500, 100)
    program = f"""
import os
os.lockf(os.open({str(path) + ".lock"!r}, os.O_RDWR | os.O_CREAT), os.F_LOCK, 0)
print(flush=True)
input()
"""
    held = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert held.stdout is not None
    held.stdout.readline()
    for number in range(100):
        writer.feed(1, b"%d\n" % number)
    assert not os.path.exists(f"{path}.1"), "it is not renamed under the hands of who holds the lock"
    held.communicate(b"\n")
    for number in range(100, 200):
        writer.feed(1, b"%d\n" % number)
    writer.close()
    assert os.path.exists(f"{path}.1")
    assert numbers(path) == list(range(200))
