"""A launcher that ends, also one that never came up, is followed by another, whether or not anybody asks for a container."""

import os
import signal
from pathlib import Path

from tests.api.scenes import launcher_of
from tests.daemons import Sampan
from tests.requires import requires
from tests.waiting import eventually

pytestmark = requires("root", "busybox", "docker-client")


def children(engine: Sampan) -> list[int]:
    """Of the daemon, zombies left out."""
    assert engine.process is not None
    pid = engine.process.pid
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in listed if Path(f"/proc/{child}/cmdline").read_bytes()]


def test_one_that_ends_while_it_starts(engine: Sampan) -> None:
    old = launcher_of(engine)
    os.kill(old, signal.SIGKILL)
    starting: list[int] = []

    def begun() -> bool:
        starting[:] = [child for child in children(engine) if child != old]
        return bool(starting)

    eventually(begun, "no other launcher is begun")
    os.kill(starting[0], signal.SIGKILL)
    eventually(lambda: launcher_of(engine) != starting[0], "none follows the one that did not come up")
    assert b"the launcher ended while it was starting; another is tried in 0.1 s" in engine.log.read_bytes()
    assert engine.docker("run", "--rm", "busybox", "echo", "on").text == "on"
