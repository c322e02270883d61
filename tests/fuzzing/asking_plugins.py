"""What plugins say: their answers, the documents in them, and the files that tell where they listen."""

import asyncio
import functools
import tempfile
from pathlib import Path

from sampan.plugins.conversation import read_answer
from sampan.plugins.faults import PluginFailed
from sampan.plugins.places import Places
from sampan.plugins.plugin import Manifest, parse
from sampan.plugins.volume_driver import ANSWERS


@functools.cache
def _loop() -> asyncio.AbstractEventLoop:
    """One for all cases: a loop for each takes longer than what it is for."""
    return asyncio.new_event_loop()


def answer(case: bytes) -> None:
    """A whole answer, which comes in pieces and ends."""

    async def read() -> bytes:
        reader = asyncio.StreamReader(limit=64 * 1024)
        for at in range(0, len(case), 512):
            reader.feed_data(case[at : at + 512])
        reader.feed_eof()
        return await (await read_answer(reader)).read(1 << 20)

    parse(Manifest, _loop().run_until_complete(read()))


def volumes(case: bytes) -> None:
    """What a volume driver answers, whatever it was asked."""
    for kind in ANSWERS:
        parse(kind, case)


def spec(case: bytes) -> None:
    """A .spec and a .json file."""
    for ending in (".spec", ".json"):
        with tempfile.TemporaryDirectory() as directory:
            (Path(directory) / f"p{ending}").write_bytes(case)
            try:
                Places.only((Path(directory),)).find("p")
            except PluginFailed:
                continue  # refused, which says nothing of the other
