"""The image `host`, mounted as the launcher does it, in a forked child with mounts of its own."""

import os
import stat
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sampan.images.host_layer import HostLayer, why_unfit
from sampan.kernel.mount import (
    AT_FDCWD,
    MS,
    MountAttr,
    OpenTree,
    fsconfig_create,
    fsconfig_string,
    fsmount,
    fsopen,
    mount,
    mount_setattr,
    move_mount,
    open_tree,
)
from sampan.kernel.namespaces import Clone, unshare
from sampan.spec.rootfs import HOST_HIDDEN, HOST_ROOT
from tests.requires import requires

pytestmark = requires("root", "overlay", "mount-interface")


@pytest.fixture
def layer(tmp_path: Path) -> Iterator[HostLayer]:
    made = HostLayer([str(tmp_path)])
    yield made
    made.close()


def inside(layer: HostLayer, scratch: Path, look: Callable[[int], None]) -> None:
    """Run `look` with the root's descriptor in a child; its failure is the test's."""
    for name in ("upper", "work"):
        (scratch / name).mkdir()
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            look(mounted(layer, scratch))
        except BaseException:  # noqa: BLE001 - the end of a child: whatever failed is the test's failure
            os.write(write_end, traceback.format_exc().encode()[-4000:])
        os._exit(0)
    os.close(write_end)
    with open(read_end, "rb") as pipe:
        failure = pipe.read().decode()
    os.waitpid(child, 0)
    assert not failure, failure


def mounted(layer: HostLayer, scratch: Path) -> int:
    lowers = layer.directories()
    host = open_tree(AT_FDCWD, b"/", OpenTree.CLONE)
    hidden = layer.mount()
    unshare(Clone.NEWNS)
    mount(None, b"/", None, MS.REC | MS.PRIVATE)
    base = scratch / "base"
    base.mkdir()
    mount(b"tmpfs", os.fsencode(base), b"tmpfs", MS(0))
    os.chdir(base)
    for tree, place in ((host, HOST_ROOT), (hidden, HOST_HIDDEN)):
        mount_setattr(tree, add=MountAttr.RDONLY)
        os.mkdir(place[1:])
        move_mount(tree, os.open(place[1:], os.O_PATH))
    context = fsopen(b"overlay")
    # The child keeps its root, so that the paths are relative to the tmpfs here.
    options = {"lowerdir": ":".join(lower[1:] for lower in lowers), "upperdir": "../upper", "workdir": "../work"}
    for key, value in options.items():
        fsconfig_string(context, key.encode(), value.encode())
    fsconfig_create(context)
    return fsmount(context)


def names(root: int, path: str) -> list[str]:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY, dir_fd=root)
    return os.listdir(descriptor)


def test_secrets_are_hidden_and_the_rest_is_there(layer: HostLayer, tmp_path: Path) -> None:
    def look(root: int) -> None:
        etc = names(root, "etc")
        assert "passwd" in etc
        assert [name for name in etc if name.startswith(("shadow", "gshadow"))] == []
        assert names(root, "home") == []
        assert names(root, "root") == []
        assert names(root, "tmp") == []
        assert names(root, "run") == []
        assert "sh" in names(root, "usr/bin")
        if os.path.isdir("/etc/ssh"):
            assert [name for name in names(root, "etc/ssh") if name.startswith("ssh_host_")] == []

    inside(layer, tmp_path, look)


def test_hidden_directories_look_the_same_and_can_be_used(layer: HostLayer, tmp_path: Path) -> None:
    def look(root: int) -> None:
        here, there = os.stat("/tmp"), os.stat("tmp", dir_fd=root)
        assert (stat.S_IMODE(here.st_mode), here.st_uid) == (stat.S_IMODE(there.st_mode), there.st_uid)
        assert stat.S_IMODE(os.stat("etc", dir_fd=root).st_mode) == stat.S_IMODE(os.stat("/etc").st_mode)
        descriptor = os.open("tmp/new", os.O_WRONLY | os.O_CREAT, dir_fd=root)
        os.write(descriptor, b"x")
        descriptor = os.open("etc/shadow", os.O_WRONLY | os.O_CREAT | os.O_EXCL, dir_fd=root)
        os.write(descriptor, b"its own")

    inside(layer, tmp_path, look)
    assert (tmp_path / "upper/tmp/new").read_bytes() == b"x"
    assert (tmp_path / "upper/etc/shadow").read_bytes() == b"its own"
    assert not Path("/tmp/new").exists()


def test_nothing_that_others_may_not_read_is_left_in_etc(layer: HostLayer, tmp_path: Path) -> None:
    def look(root: int) -> None:
        pending = ["etc"]
        while pending:
            directory = pending.pop()
            for name in names(root, directory):
                path = f"{directory}/{name}"
                status = os.stat(path, dir_fd=root, follow_symlinks=False)
                if stat.S_ISDIR(status.st_mode):
                    if status.st_mode & 0o005 != 0o005:
                        assert names(root, path) == [], path
                    pending.append(path)
                elif stat.S_ISREG(status.st_mode):
                    assert status.st_mode & 0o004, path

    inside(layer, tmp_path, look)


def test_own_directories_and_mount_points_are_empty(layer: HostLayer, tmp_path: Path) -> None:
    hidden = {entry.path for entry in layer.hidden()}

    def covered(path: str) -> bool:
        parts = path.strip("/").split("/")
        return any("/".join(parts[: end + 1]) in hidden for end in range(len(parts)))

    assert covered(str(tmp_path))
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        point = line.split(" ")[4]
        assert point == "/" or covered(point) or not os.path.lexists(point), point


def test_a_new_secret_is_hidden_from_the_next_container(tmp_path: Path) -> None:
    machine = tmp_path / "machine"
    (machine / "etc").mkdir(parents=True)
    (machine / "usr").mkdir()
    layer = HostLayer([], str(machine))
    before = layer.directories()
    assert layer.directories() == before
    (machine / "etc/secret").touch(0o600)
    time.sleep(1.1)
    assert layer.directories() != before
    assert "etc/secret" in {entry.path for entry in layer.hidden()}
    layer.close()


def test_why_a_root_cannot_be_an_image(tmp_path: Path) -> None:
    assert why_unfit("/") is None
    assert why_unfit(str(tmp_path)) == "there is no /usr"
    (tmp_path / "usr").mkdir()
    assert why_unfit(str(tmp_path)) is None
