"""Limits of I/O on one device, from the control files and from how long a program takes."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.scenes import Box
from tests.daemons import Sampan
from tests.requires import requires

pytestmark = requires("root", "overlay", "busybox", "cgroup_v1:blkio")

MB = 1 << 20


@pytest.fixture(autouse=True)
def clean(engine: Sampan) -> Iterator[None]:
    yield
    engine.remove_containers()


def disk(below: Path) -> tuple[str, bool]:
    """A whole disk (limits are refused by the kernel for a part of one), and whether `below` lies on it."""
    number = below.stat().st_dev
    place = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}").resolve()
    if (place / "partition").exists():
        place = place.parent
    if place.exists():
        return f"/dev/{place.name}", True
    for name in sorted(os.listdir("/sys/block")):
        if not name.startswith(("loop", "ram", "zram")) and int(Path(f"/sys/block/{name}/size").read_text()):
            return f"/dev/{name}", False
    pytest.fail("this machine has no disk")


def blkio(box: Box, file: str) -> str:
    found = [group / file for group in box.groups() if (group / file).exists()]
    assert len(found) == 1
    return found[0].read_text().strip()


def test_throttles_are_kept(engine: Sampan, tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(os.urandom(3 * MB // 2))
    os.sync()
    device, holds_it = disk(tmp_path)
    number = os.stat(device).st_rdev
    throttle = {
        "BlkioDeviceReadBps": [{"Path": device, "Rate": MB}],
        "BlkioDeviceWriteBps": [{"Path": device, "Rate": 2 * MB}],
        "BlkioDeviceReadIOps": [{"Path": device, "Rate": 5000}],
        "BlkioDeviceWriteIOps": [{"Path": device, "Rate": 6000}],
        "Binds": [f"{tmp_path}:/mnt:ro"],
    }
    box = Box(engine, "sleep", "1000", name="slow", host={"NetworkMode": "none", **throttle}).start()
    at = f"{os.major(number)}:{os.minor(number)}"
    assert blkio(box, "blkio.throttle.read_bps_device") == f"{at} {MB}"
    assert blkio(box, "blkio.throttle.write_bps_device") == f"{at} {2 * MB}"
    assert blkio(box, "blkio.throttle.read_iops_device") == f"{at} 5000"
    assert blkio(box, "blkio.throttle.write_iops_device") == f"{at} 6000"
    inspected = engine.api("GET", "/containers/slow/json").json()
    assert isinstance(inspected, dict)
    assert inspected["HostConfig"]["BlkioDeviceReadBps"] == [{"Path": device, "Rate": MB}]

    began = time.monotonic()
    read = engine.docker("exec", "slow", "dd", "if=/mnt/data", "of=/dev/null", "bs=65536", "iflag=direct")
    assert read.code == 0, read
    assert not holds_it or time.monotonic() - began > 1, "1.5 MiB at 1 MiB a second"


@pytest.mark.parametrize("member", ["BlkioDeviceReadBps", "BlkioDeviceWriteIOps"])
def test_a_device_that_is_not_there_is_said_at_the_start(engine: Sampan, member: str) -> None:
    body = {"Image": "busybox", "Cmd": ["true"], "HostConfig": {member: [{"Path": "/dev/nosuch", "Rate": 1}]}}
    assert engine.api("POST", "/containers/create?name=astray", body).status == 201
    answer = engine.api("POST", "/containers/astray/start")
    assert answer.status == 500
    assert answer.json() == {"message": "stat /dev/nosuch: no such file or directory"}


def test_what_is_no_disk_is_refused_by_the_kernel(engine: Sampan) -> None:
    body = {
        "Image": "busybox",
        "Cmd": ["true"],
        "HostConfig": {"BlkioDeviceReadBps": [{"Path": "/dev/null", "Rate": 1}]},
    }
    assert engine.api("POST", "/containers/create?name=wrong", body).status == 201
    answer = engine.api("POST", "/containers/wrong/start")
    assert answer.status == 500
    assert b"No such device" in answer.body or b"no such device" in answer.body
    assert b"blkio.throttle.read_bps_device" in answer.body


def test_weights_of_devices_reach_the_kernel(engine: Sampan, tmp_path: Path) -> None:
    """A disk without the BFQ scheduler has no weights: the kernel says so, and so does the start."""
    device, _ = disk(tmp_path)
    scheduler = Path(f"/sys/block/{device[5:]}/queue/scheduler").read_text()
    host = {"NetworkMode": "none", "BlkioWeightDevice": [{"Path": device, "Weight": 200}]}
    body = {"Image": "busybox", "Cmd": ["sleep", "1000"], "HostConfig": host}
    assert engine.api("POST", "/containers/create?name=weighed", body).json()
    answer = engine.api("POST", "/containers/weighed/start")
    if "[bfq]" in scheduler:
        assert answer.status == 204
    else:
        assert answer.status == 500
        assert b"blkio.bfq.weight_device" in answer.body
