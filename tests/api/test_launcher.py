"""A launcher that ends, also one that never came up, is followed by another, whether or not anybody asks for a container."""

import os
import signal

from tests.api.scenes import launcher_of
from tests.daemons import Sampan
from tests.processes import children, title
from tests.requires import requires
from tests.waiting import eventually

pytestmark = requires("root", "busybox", "docker-client")


def test_one_that_ends_while_it_starts(engine: Sampan) -> None:
    old = launcher_of(engine)
    os.kill(old, signal.SIGKILL)
    assert engine.process is not None
    daemon, starting = engine.process.pid, [0]

    def begun() -> bool:
        # A zombie has no title any more.
        starting[:] = [child for child in children(daemon) if child != old and title(child)]
        return bool(starting)

    eventually(begun, "no other launcher is begun")
    os.kill(starting[0], signal.SIGKILL)
    eventually(lambda: launcher_of(engine) != starting[0], "none follows the one that did not come up")
    assert b"the launcher ended while it was starting; another is tried in 0.1 s" in engine.log.read_bytes()
    assert engine.docker("run", "--rm", "busybox", "echo", "on").text == "on"
