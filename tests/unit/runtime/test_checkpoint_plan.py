"""What of a container is not part of its checkpoint: names of mounts and streams, and the notes beside criu's images."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from sampan.runtime import checkpoint_plan as plan
from sampan.runtime.aside_plan import external_places
from sampan.spec import oci_runtime as oci

MOUNTINFO = """\
213 96 0:55 / / rw,relatime - overlay overlay rw
138 213 254:0 /c/hostname /etc/hostname rw,relatime - ext4 /dev/vda rw
139 213 254:0 /v/a\\040b /srv/a\\040b\\134c rw,relatime shared:7 - ext4 /dev/vda rw
broken
"""


@pytest.fixture
def images(tmp_path: Path) -> Iterator[int]:
    directory = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield directory
    os.close(directory)


def test_places_of_mounts() -> None:
    assert plan.mount_points(MOUNTINFO) == {213: "/", 138: "/etc/hostname", 139: "/srv/a b\\c"}


def test_a_place_whose_name_looks_like_another_line() -> None:
    forged = "140 213 0:5 / /x\x0b138\u2028138 1 0:1 / /forged rw - tmpfs t rw\n"
    assert plan.mount_points(MOUNTINFO + forged)[138] == "/etc/hostname"


def test_a_mount_is_named_by_where_it_was_asked_for() -> None:
    assert plan.external_mounts([("/run/data", "/var/run/data")]) == ["mnt[/run/data]:/var/run/data"]
    assert plan.restored_mounts(["/a", "/b"], "/place") == ["mnt[/a]:/place/0", "mnt[/b]:/place/1"]


def test_places_are_found_by_descriptor() -> None:
    root = os.open("/", os.O_PATH | os.O_DIRECTORY)
    try:
        here = plan.read_mountinfo(os.getpid())
        assert plan.find_places(root, here, ["/proc", "/proc/self/../../sys"]) == [
            ("/proc", "/proc"),
            ("/sys", "/proc/self/../../sys"),
        ]
        for gone in ("/etc/hostname/none", "/no/such/place"):
            with pytest.raises(plan.NotPossible, match="the mount at"):
                plan.find_places(root, here, [gone])
        with pytest.raises(plan.NotPossible, match="not there any more"):
            plan.find_places(root, here, ["/proc", "/proc/sys/kernel"])
    finally:
        os.close(root)


def test_streams_are_pipes_or_files_by_mount_and_inode() -> None:
    reading, writing = os.pipe()
    try:
        assert plan.stream_name(0, os.fstat(writing)) == f"pipe:[{os.fstat(writing).st_ino}]"
    finally:
        os.close(reading)
        os.close(writing)
    assert plan.stream_name(0x8F, os.stat("/dev/null")) == f"file[8f:{os.stat('/dev/null').st_ino:x}]"


def test_streams_of_a_process_are_those_that_no_mount_of_its_own_shows() -> None:
    # Descriptors 0 to 2 of this process are what they are; what decides is whether its mounts show them.
    seen = plan.find_streams(os.getpid(), plan.read_mountinfo(os.getpid()))
    for number, name in enumerate(seen):
        assert name == "" or name.startswith(("pipe:[", "file[")), (number, name)
    unseen = plan.find_streams(os.getpid(), "")
    assert all(name for number, name in enumerate(unseen) if os.path.exists(f"/proc/self/fd/{number}"))


def test_a_stream_that_stands_twice_is_handed_over_once() -> None:
    assert plan.inherited(["file[1:2]", "pipe:[9]", "pipe:[9]"], [10, 11, 12]) == [("file[1:2]", 10), ("pipe:[9]", 11)]
    assert plan.inherited(["", "pipe:[9]", ""], [10, 11, 12]) == [("pipe:[9]", 11)]


def test_notes_are_read_as_they_were_written(images: int, tmp_path: Path) -> None:
    (tmp_path / plan.NOTES).write_bytes(plan.notes("ab" * 32, ["", "pipe:[1]", "pipe:[2]"]))
    assert plan.read_notes(images) == ["", "pipe:[1]", "pipe:[2]"]


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{}", "null", '{"version": 2, "streams": ["", "", ""]}', '{"version": 1, "streams": ["", ""]}',
        '{"version": 1, "streams": [1, 2, 3]}', '{"version": 1, "streams": {}}', "\xff", "[" * 100_000,
        '{"version": 1, "streams": ["", "", "' + "x" * 70_000 + '"]}',
    ],
)  # fmt: skip
def test_notes_of_somebody_else_are_refused(images: int, tmp_path: Path, text: str) -> None:
    (tmp_path / plan.NOTES).write_text(text, encoding="latin-1")
    with pytest.raises(plan.NotPossible):
        plan.read_notes(images)


def test_notes_are_a_regular_file_of_their_own(images: int, tmp_path: Path) -> None:
    with pytest.raises(plan.NotPossible):
        plan.read_notes(images)
    (tmp_path / "elsewhere").write_bytes(plan.notes("c", ["", "", ""]))
    (tmp_path / plan.NOTES).symlink_to("elsewhere")
    with pytest.raises(plan.NotPossible):
        plan.read_notes(images)
    (tmp_path / plan.NOTES).unlink()
    os.mkfifo(tmp_path / plan.NOTES)
    assert stat.S_ISFIFO((tmp_path / plan.NOTES).stat().st_mode)
    with pytest.raises(plan.NotPossible):
        plan.read_notes(images)


def test_places_of_a_start_are_its_binds_in_order_and_last_the_control_groups() -> None:
    mounts = (
        oci.Mount(destination="/sys/fs/cgroup", type="cgroup", source="cgroup"),
        oci.Mount(destination="/b", type="bind", source="/x"),
        oci.Mount(destination="/tmp", type="tmpfs", source="tmpfs"),
        oci.Mount(destination="/a", type="bind", source="/y"),
    )
    config = oci.Config(process=oci.Process(args=("p",)), mounts=mounts)
    assert external_places(config) == ("/b", "/a", "/sys/fs/cgroup")
