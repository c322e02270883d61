"""A record in the state database that cannot be read: the daemon names it and does not start, and nothing is touched meanwhile."""

import itertools
import sqlite3
import subprocess
from contextlib import closing

import pytest

from tests.daemons import READY_SECONDS, Sampan, running_sampan, scrubbed_environment
from tests.requires import requires

pytestmark = [requires("root", "overlay", "netns", "bridge", "busybox"), pytest.mark.crash]

TABLES = ("containers", "container-states", "container-endpoints", "images", "networks", "volumes")
GARBAGE = (b"", b"[7]", b"\xff\xfe\x00")


def made(engine: Sampan) -> None:
    """A record in each of the tables."""
    engine.load_busybox()
    network = {"Name": "net", "IPAM": {"Config": [{"Subnet": "10.218.7.0/24"}]}}
    assert engine.api("POST", "/networks/create", network).status == 201
    host = {"NetworkMode": "net", "Binds": ["data:/data"]}
    body = {"Image": "busybox", "Cmd": ["sleep", "1000"], "HostConfig": host}
    assert engine.api("POST", "/containers/create?name=goes", body).status == 201
    assert engine.api("POST", "/containers/goes/start").status == 204


def refusal(engine: Sampan) -> str:
    """What a daemon says that does not start."""
    line, world = engine.command(), scrubbed_environment()
    done = subprocess.run(line, capture_output=True, text=True, timeout=READY_SECONDS, env=world, check=False)
    assert done.returncode == 1
    return done.stderr


def test_a_record_that_cannot_be_read_is_named() -> None:
    with running_sampan() as engine:
        made(engine)
        engine.stop()
        with closing(sqlite3.connect(engine.data_root / "sampan.db", isolation_level=None)) as database:
            for table, garbage in zip(TABLES, itertools.cycle(GARBAGE), strict=False):
                ((key, value),) = database.execute("SELECT key, value FROM entry WHERE tbl = ?", (table,)).fetchall()
                database.execute("UPDATE entry SET value = ? WHERE tbl = ? AND key = ?", (garbage, table, key))
                said = refusal(engine)
                assert f"the record {key!r} of table {table!r} cannot be read" in said
                assert "Traceback" not in said
                database.execute("UPDATE entry SET value = ? WHERE tbl = ? AND key = ?", (value, table, key))
        engine.start()
        assert engine.inside("goes", "sh", "-c", "echo goes on > /data/file; cat /data/file").text == "goes on"
        checked = engine.sampan("system", "check")
        assert checked.code == 0, checked
