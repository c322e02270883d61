"""Cells of docs/ownership.md for volumes that a plugin has."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.api.scenes import Box, cell, strike
from tests.daemons import Sampan
from tests.plugin_servers import Driver, served
from tests.waiting import eventually


@contextmanager
def writing(engine: Sampan) -> Iterator[tuple[Box, Driver]]:
    """A container that writes into a plugin's volume without an end. With it the plugin goes, which was told of every end."""
    driver = Driver(engine.directory / "shelved")
    place = engine.exec_root / "plugins" / "deaths.sock"
    place.parent.mkdir(exist_ok=True)
    with served(place, "VolumeDriver", driver.answers()):
        made = engine.api("POST", "/volumes/create", {"Name": "shelved", "Driver": "deaths"})
        assert made.status == 201, made
        loop = "while :; do echo >>/shelved/told; sleep 0.1; done"
        box = Box(engine, "sh", "-c", loop, host={"Binds": ["shelved:/shelved"]}).start()
        try:
            yield box, driver
        finally:
            engine.api("DELETE", f"/containers/{box.id}?force=1")
            eventually(driver.idle, "the plugin is not told of the end")
            assert engine.api("DELETE", "/volumes/shelved").status == 204


@cell("volume of a plugin", "daemon", "launcher")
def the_volume_stays(engine: Sampan, process: str) -> None:
    with writing(engine) as (box, driver):
        told = driver.directory / "shelved" / "told"
        eventually(told.exists, "nothing is written")
        strike(engine, process, box)
        assert not driver.idle()
        written = told.stat().st_size
        eventually(lambda: told.stat().st_size > written, "nothing more is written")


@cell("volume of a plugin", "monitor", "init")
def the_plugin_is_told(engine: Sampan, process: str) -> None:
    with writing(engine) as (box, driver):
        assert not driver.idle()
        strike(engine, process, box)
        eventually(driver.idle, "the plugin is not told of the end")
