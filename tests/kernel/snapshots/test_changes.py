"""`docker diff` of every driver: what a program did in a root, listed as Docker lists it."""

import io
import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sampan.kernel.files import OVERLAYFS_SUPER_MAGIC, file_system_type
from sampan.kernel.mount import AT_FDCWD, OpenTree, move_mount, open_tree, umount2
from sampan.snapshots.protocol import ChangeKind, Snapshotter
from tests.kernel.snapshots.drivers import DRIVERS, KINDS, WHOLE
from tests.requires import requires

pytestmark = requires("root", "overlay", "mount-interface")

LETTERS = {ChangeKind.MODIFIED: "C", ChangeKind.ADDED: "A", ChangeKind.DELETED: "D"}


def base() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in (
            ("d", None), ("d/a", b"a"), ("d/b", b"b"), ("d/e", None), ("d/e/f", b"f"), ("etc", None), ("g", b"g"),
        ):  # fmt: skip
            info = tarfile.TarInfo(name)
            info.mtime = 1_000_000_000
            info.type, info.mode = (tarfile.DIRTYPE, 0o755) if content is None else (tarfile.REGTYPE, 0o644)
            info.size = len(content or b"")
            tar.addfile(info, io.BytesIO(content or b""))
    return buffer.getvalue()


@pytest.fixture(params=KINDS)
def driver(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Snapshotter]:
    (tmp_path / "data").mkdir()
    made = DRIVERS[str(request.param)](tmp_path / "data")
    yield made
    made.close()


@pytest.fixture
def root(driver: Snapshotter, tmp_path: Path) -> Iterator[Path]:
    """The root of a container on the base, as its programs see it, mounted for the time of the test."""
    chain = driver.apply(None, io.BytesIO(base())).chain
    driver.prepare("key", chain)
    place = tmp_path / "root"
    place.mkdir()
    mount = driver.mounted("key")
    target = os.open(place, os.O_PATH | os.O_DIRECTORY)
    move_mount(mount, target)
    os.close(target)
    os.close(mount)
    yield place
    umount2(os.fsencode(place))


ENGINE = "mkdir dev proc sys; touch .dockerenv etc/hosts etc/hostname etc/resolv.conf"
"""What a start makes for its mounts."""
CASES: dict[str, tuple[str, list[str]]] = {
    "nothing": ("true", []),
    "added": ("echo x > d/new", ["C /d", "A /d/new"]),
    "added tree": ("mkdir -p n/m", ["A /n", "A /n/m"]),
    "modified": ("echo longer > d/e/f", ["C /d", "C /d/e", "C /d/e/f"]),
    "mode": ("chmod 600 g", ["C /g"]),
    "mode of a directory": ("chmod 700 d", ["C /d"]),
    "owner": ("chown 5:6 g", ["C /g"]),
    "deleted": ("rm d/a", ["C /d", "D /d/a"]),
    "deleted tree": ("rm -r d", ["D /d"]),
    "replaced directory": (
        "rm -r d; mkdir d; echo x > d/new", ["C /d", "D /d/a", "D /d/b", "D /d/e", "A /d/new"],
    ),
    "file for a directory": ("rm -r d; echo x > d", ["C /d"]),
    "directory for a file": ("rm g; mkdir g; touch g/x", ["C /g", "A /g/x"]),
    "made and gone": ("touch t; rm t", []),
    "time": ("touch -d @5 g", ["C /g"]),
    "untouched": ("touch -r g ../stamp; : >> g; touch -r ../stamp g", []),
    "engine's own": (ENGINE, []),
    "below the engine's own": (f"{ENGINE}; touch dev/x", ["A /dev", "A /dev/x"]),
    "renamed": ("mv d moved", ["D /d", "A /moved", "A /moved/a", "A /moved/b", "A /moved/e", "A /moved/e/f"]),
}  # fmt: skip


def shell(root: Path, script: str) -> None:
    subprocess.run(["sh", "-ec", script], cwd=root, check=True, timeout=30)


@pytest.mark.parametrize("case", CASES)
def test_changes(driver: Snapshotter, root: Path, case: str) -> None:
    script, expected = CASES[case]
    shell(root, script)
    assert [f"{LETTERS[change.kind]} {os.fsdecode(change.path)}" for change in driver.changes("key")] == expected


def test_a_root_without_an_image(driver: Snapshotter) -> None:
    driver.prepare("alone", None)
    assert driver.changes("alone") == ()


def test_mounted_is_the_union(root: Path, driver: Snapshotter) -> None:
    assert (root / "d/a").read_text() == "a"
    descriptor = open_tree(AT_FDCWD, os.fsencode(root), OpenTree.CLONE)
    if driver.name not in WHOLE:  # a directory of whatever the data root lies on
        assert (file_system_type(descriptor) == OVERLAYFS_SUPER_MAGIC) == (driver.name == "overlay2")
    os.close(descriptor)


def test_the_engines_own_is_no_part_of_the_difference(driver: Snapshotter, root: Path) -> None:
    shell(root, f"{ENGINE}; echo x > etc/hosts.more")
    with tarfile.open(fileobj=io.BytesIO(b"".join(driver.diff("key")))) as archive:
        assert set(archive.getnames()) - {"etc"} == {"etc/hosts.more"}
