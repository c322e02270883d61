"""Cells of docs/ownership.md for files on their way into a container."""

import io
import os
import select
import socket
import tarfile

from tests.api.scenes import FOREVER, Box, cell, strike
from tests.daemons import Sampan
from tests.processes import children, title
from tests.waiting import eventually


def porters(engine: Sampan) -> list[int]:
    """Processes of this daemon that carry files."""
    assert engine.process is not None
    return [child for child in children(engine.process.pid) if "sampan.transfer.process" in title(child)]


class HeldCopy:
    """An archive that is on its way into a container and stops in the middle until `finish`."""

    def __init__(self, engine: Sampan, box: str) -> None:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            info = tarfile.TarInfo("copied")
            info.size = 100_000
            archive.addfile(info, io.BytesIO(bytes(info.size)))
        self._rest = buffer.getvalue()
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(60)
        self._socket.connect(str(engine.socket))
        head = (
            f"PUT /containers/{box}/archive?path=/tmp HTTP/1.1\r\nHost: x\r\nContent-Length: {len(self._rest)}\r\n\r\n"
        )
        self._socket.sendall(head.encode() + self._rest[:5000])
        self._rest = self._rest[5000:]
        eventually(lambda: porters(engine), "no porter comes")

    def finish(self) -> bytes:
        """Send what is left; the answer's first line."""
        self._socket.sendall(self._rest)
        answer = self._socket.recv(4096)
        self.close()
        return answer.partition(b"\r\n")[0]

    def close(self) -> None:
        """The client leaves."""
        self._socket.close()


@cell("copy of files", "daemon")
def copy_ends(engine: Sampan, process: str) -> None:
    """The next daemon must find the container's file system free: it may start the container at once."""
    created = Box(engine, "true")
    copy = HeldCopy(engine, created.id)
    held = [os.pidfd_open(porter) for porter in porters(engine)]

    def all_ended() -> None:
        for porter in held:
            assert select.select([porter], [], [], 60)[0], "a porter outlives its daemon"
            os.close(porter)

    strike(engine, process, meanwhile=all_ended)
    copy.close()
    created.start()


@cell("copy of files", "launcher", "monitor", "init")
def copy_goes_on(engine: Sampan, process: str) -> None:
    box = Box(engine, *FOREVER).start()
    copy = HeldCopy(engine, box.id)
    strike(engine, process, box)
    assert copy.finish() == b"HTTP/1.1 200 OK"
    if process != "launcher":
        box.ended(137)
        box.start()
    assert box.run("stat", "-c", "%s", "/tmp/copied") == "100000"
