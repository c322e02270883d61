"""The driver btrfs under a whole daemon: containers, commits and builds on snapshots, and nothing left after them."""

import json
import subprocess
from collections.abc import Iterator

import pytest

from tests import disks
from tests.daemons import Sampan
from tests.requires import requires
from tests.waiting import eventually

pytestmark = requires("root", "netns", "docker-client", "busybox", "btrfs", "mkfs.btrfs")


@pytest.fixture(scope="module")
def engine() -> Iterator[Sampan]:
    with disks.sampan_on("btrfs", "--storage-driver", "btrfs", size=disks.BTRFS_SIZE) as (made, _):
        yield made


def subvolumes(engine: Sampan) -> int:
    listed = subprocess.run(["btrfs", "subvolume", "list", engine.data_root], check=True, capture_output=True)
    return len(listed.stdout.splitlines())


def test_it_is_told_as_docker_tells_it(engine: Sampan) -> None:
    info = json.loads(engine.docker("info", "-f", "{{json .}}").text)
    assert (info["Driver"], info["DriverStatus"]) == ("btrfs", [["Btrfs", ""]])
    assert engine.docker("create", "--name", "shown", "busybox").code == 0
    for what in ("shown", "busybox"):
        assert json.loads(engine.docker("inspect", "-f", "{{json .GraphDriver}}", what).text) == {
            "Data": None,
            "Name": "btrfs",
        }
    refused = engine.docker("create", "--storage-opt", "size=1g", "busybox")
    assert b"--storage-opt is not supported by the storage driver btrfs" in refused.err
    assert engine.docker("rm", "shown").code == 0


def test_run_diff_commit_build_and_what_is_left(engine: Sampan) -> None:
    eventually(engine.has_no_trash)
    before = subvolumes(engine)
    script = "rm -r /etc; mkdir /etc /new; echo one > /etc/one; mv /root /moved; chmod 700 /bin; exec sleep 600"
    flags = ("-d", "--name", "first", "--net", "none", "--userns", "private:uidmapping=0:100000:65536", "busybox")
    assert engine.sampan("run", *flags, "sh", "-c", script).code == 0
    eventually(lambda: "C /bin" in engine.docker("diff", "first").text.splitlines())
    changes = set(engine.docker("diff", "first").text.splitlines())
    assert {"C /etc", "A /etc/one", "D /etc/passwd", "D /root", "A /moved", "A /new", "C /bin"} <= changes
    # What a program may do without any right: a subvolume of its own.
    root = engine.data_root / "rw" / engine.docker("inspect", "-f", "{{.Id}}", "first").text / "root"
    subprocess.run(["btrfs", "-q", "subvolume", "create", root / "new/sub"], check=True)
    (root / "new/sub/file").write_text("inside")
    assert engine.docker("commit", "first", "second").code == 0
    text = b"FROM second\nRUN cat /new/sub/file > /seen && rm -r /new\nRUN cp /seen /again\n"
    built = engine.docker("build", "-t", "third", "-", stdin=text, timeout=120)
    assert built.code == 0, built
    assert engine.docker("run", "--rm", "--net", "none", "third", "sh", "-c", "cat /again; ls /new").out == b"inside"
    engine.stop()
    engine.start()  # its layers say which driver they are of
    assert engine.docker("info", "-f", "{{.Driver}}").text == "btrfs"
    assert engine.docker("start", "first").code == 0
    assert engine.docker("exec", "first", "cat", "/etc/one").text == "one"
    assert engine.docker("rm", "-f", "first").code == 0
    assert engine.docker("image", "rm", "third", "second").code == 0
    assert engine.docker("builder", "prune", "-af").code == 0
    eventually(engine.has_no_trash)
    assert subvolumes(engine) == before


def test_where_there_is_no_btrfs() -> None:
    elsewhere = Sampan()
    with pytest.raises(AssertionError, match=r"wrong filesystem\?.*does not lie on btrfs"):
        elsewhere.start("--storage-driver", "btrfs")
    elsewhere.process = None
    elsewhere.remove()
