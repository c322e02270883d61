"""Cells of docs/ownership.md for what the daemon looks after while a container runs: its health."""

from tests.api.scenes import FOREVER, Box, cell, strike
from tests.daemons import Sampan
from tests.waiting import eventually

OFTEN = 150_000_000


def checked(engine: Sampan) -> Box:
    """A container that is checked often, and was found healthy."""
    box = Box(engine, *FOREVER, Healthcheck={"Test": ["CMD-SHELL", "test ! -e /bad"], "Interval": OFTEN, "Retries": 1})
    box.start()
    eventually(lambda: status(box) == "healthy", "never healthy")
    # Told before it is on the disk, as checks may be many; commits are made in order, and this one is waited for.
    assert engine.api("POST", "/volumes/create", {"Name": "behind"}).status == 201
    return box


def status(box: Box) -> str:
    return str(box.state()["Health"]["Status"])


@cell("health check", "daemon", "launcher")
def checks_go_on(engine: Sampan, process: str) -> None:
    box = checked(engine)
    strike(engine, process)
    if process == "daemon":
        assert status(box) != "starting", "what was known is known"
    # A check that was on its way through a launcher that died has failed; so may the first one on a busy machine.
    eventually(lambda: status(box) == "healthy", "a launcher's death makes it ill for good")
    box.run("touch", "/bad")
    eventually(lambda: status(box) == "unhealthy", "it is not checked any more")


@cell("health check", "monitor", "init")
def checks_end(engine: Sampan, process: str) -> None:
    box = checked(engine)
    strike(engine, process, box)
    box.ended(137)
    assert status(box) == "unhealthy"
    box.start()
    eventually(lambda: status(box) == "healthy", "the next run is not checked")
