"""The kernel has made the data root read-only: what writes is refused, what runs goes on, and `system check` says so."""

import os
import signal
from pathlib import Path

import pytest

from tests import processes
from tests.disks import sampan_on
from tests.requires import requires
from tests.waiting import eventually

pytestmark = [requires("root", "overlay", "netns", "busybox", "losetup"), pytest.mark.crash]

READ_ONLY = b"read-only file system"


def test_a_read_only_disk_is_told_of_and_containers_go_on() -> None:
    with sampan_on("ext4") as (engine, disk):
        body = {"Image": "busybox", "Cmd": ["sleep", "1000"], "HostConfig": {"NetworkMode": "none"}}
        assert engine.api("POST", "/containers/create?name=goes", body).status == 201
        assert engine.api("POST", "/containers/goes/start").status == 204
        disk.break_down()
        for path, asked in (
            ("/containers/create?name=other", body),
            ("/volumes/create", {"Name": "data"}),
            ("/images/busybox/tag?repo=other", None),
            ("/commit?container=goes&repo=other", {}),
            ("/containers/goes/rename?name=other", None),
        ):
            refused = engine.api("POST", path, asked)
            assert (refused.status, READ_ONLY in refused.body) == (500, True), (path, refused)
        assert engine.inside("goes", "echo", "goes on").text == "goes on"
        checked = engine.sampan("system", "check")
        assert checked.code == 1
        assert f"disk {disk.place}/content - cannot be written: read-only file system" in " ".join(checked.text.split())
        # A daemon does not begin there, and says why; the container does not notice.
        state = engine.api("GET", "/containers/goes/json").json()
        assert isinstance(state, dict)
        program = Path(f"/proc/{state['State']['Pid']}")
        engine.kill()
        with pytest.raises(AssertionError, match=rf"data root {disk.place}: read-only file system"):
            engine.start()
        engine.process = None
        assert program.exists()
        # Somebody stops what uses the disk, and mends it: what was acknowledged is there.
        os.kill(int(program.name), signal.SIGKILL)
        eventually(lambda: processes.holding_sockets_below(str(engine.directory)) == [])
        disk.mend()
        engine.start()
        ended = engine.api("GET", "/containers/goes/json").json()
        assert isinstance(ended, dict)
        assert (ended["State"]["Status"], ended["State"]["ExitCode"]) == ("exited", 137)
        assert engine.sampan("system", "check").code == 0
        assert engine.api("POST", "/containers/goes/start").status == 204
