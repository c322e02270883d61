"""Control groups found in what /proc says, for the kinds of hosts there are."""

from pathlib import Path

import pytest

from sampan.cgroups.hierarchy import (
    LEAF,
    Hierarchy,
    Mode,
    Mounted,
    arrange,
    delegated,
    parse_membership,
    parse_mountinfo,
)

CONTROLLERS = ("cpu", "cpuacct", "memory", "pids", "devices", "freezer", "cpuset", "blkio")

V2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
HYBRID = """\
31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
33 31 0:30 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
34 31 0:31 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd
35 31 0:32 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
36 31 0:33 / /sys/fs/bpf rw - bpf bpf rw
"""
CONTAINER = """\
40 39 0:30 /docker/abc /sys/fs/cgroup/memory ro,nosuid master:11 - cgroup cgroup rw,memory
41 39 0:30 /docker/abc /mnt/mem\\040ory rw - cgroup cgroup rw,memory
42 39 0:30 /elsewhere /mnt/other rw - cgroup cgroup rw,memory
"""


def found(mountinfo: str, membership: str = "") -> Hierarchy:
    return arrange(parse_mountinfo(mountinfo), CONTROLLERS, parse_membership(membership))


@pytest.mark.parametrize(
    ("mountinfo", "mode", "v1", "v2"),
    [
        ("", Mode.NONE, {}, ""),
        (V2, Mode.V2, {}, "/sys/fs/cgroup"),
        (
            HYBRID,
            Mode.HYBRID,
            {
                "cpu": "/sys/fs/cgroup/cpu,cpuacct",
                "cpuacct": "/sys/fs/cgroup/cpu,cpuacct",
                "memory": "/sys/fs/cgroup/memory",
                "systemd": "/sys/fs/cgroup/systemd",
            },
            "/sys/fs/cgroup/unified",
        ),
        (HYBRID.replace("cgroup2 cgroup2", "x x"), Mode.V1, None, ""),
    ],
)
def test_kinds_of_hosts(mountinfo: str, mode: Mode, v1: dict[str, str] | None, v2: str) -> None:
    hierarchy = found(mountinfo)
    assert hierarchy.mode is mode
    assert hierarchy.v2 == v2
    assert v1 is None or hierarchy.v1 == v1


def test_a_writable_mount_that_shows_our_group_is_taken() -> None:
    assert found(CONTAINER, "4:memory:/docker/abc\n").v1 == {"memory": "/mnt/mem ory"}
    assert found(CONTAINER, "4:memory:/elsewhere/x\n").v1 == {"memory": "/mnt/other"}


def test_membership() -> None:
    text = "9:name=systemd:/\n1:cpu,cpuacct:/a:b\n0::/x\n"
    assert parse_membership(text) == {"name=systemd": "/", "cpu": "/a:b", "cpuacct": "/a:b", "": "/x"}


@pytest.mark.parametrize(
    ("controller", "on_hybrid", "on_v2"),
    [("memory", 1, 2), ("pids", 2, 2), ("blkio", 0, 2), ("devices", 2, 2), ("hugetlb", 0, 0), ("cpuset", 0, 0)],
)
def test_version(controller: str, on_hybrid: int, on_v2: int) -> None:
    hybrid = Hierarchy(found(HYBRID).v1, "/u", frozenset({"pids"}))
    v2 = Hierarchy({}, "/u", frozenset({"cpu", "memory", "io", "pids"}))
    assert (hybrid.version(controller), v2.version(controller)) == (on_hybrid, on_v2)
    assert Hierarchy({}).version(controller) == 0


def test_what_a_user_may_write_to_is_tried(tmp_path: Path) -> None:
    """In a user namespace: the group that this process stands in where it was delegated, its parent where that is a leaf."""
    mine = tmp_path / "user.slice" / "mine"
    mine.mkdir(parents=True)
    (mine / "cgroup.procs").touch()
    mounts = [Mounted("/", str(tmp_path), True, True, ("rw",))]
    found = arrange(mounts, [], {"": "/user.slice/mine"})
    given = delegated(found, mounts, {"": "/user.slice/mine"})
    assert (given.v2, given.mode, given.optional, given.guards_devices) == (str(mine), Mode.V2, False, False)
    assert delegated(found, mounts, {"": f"/user.slice/mine/sampan-1{LEAF}"}).v2 == str(mine)
    nothing = delegated(found, mounts, {"": "/user.slice"})
    assert (nothing.v2, nothing.mode, nothing.optional) == ("", Mode.NONE, True)
    # A namespace of groups shows what is above it by dots, and leads nowhere from the mount.
    assert delegated(found, mounts, {"": "/../other"}).v2 == ""
    part = [Mounted("/other", str(tmp_path), True, True, ("rw",))]
    assert delegated(found, part, {"": "/user.slice/mine"}).optional
