"""Mounts of volumes in namespaces without processes: once for all users, and nothing left of them."""

import os
import threading
from pathlib import Path

import pytest

from sampan.kernel.mount import OpenTree
from sampan.state.store import Store
from sampan.volumes import letters, stage
from sampan.volumes.local import Volumes
from sampan.volumes.mounted import MountedVolumes, MountFailed
from sampan.volumes.options import wish
from tests.requires import requires

pytestmark = requires("root", "mountns", "mount-interface")


@pytest.fixture
def volumes(tmp_path: Path) -> Volumes:
    made = Volumes(Store(tmp_path / "db"), tmp_path / "volumes")
    made.create("tmp", options={"type": "tmpfs", "device": "tmpfs", "o": "size=1m"})
    return made


def written(directory: int, name: str) -> None:
    os.close(os.open(name, os.O_CREAT | os.O_WRONLY, dir_fd=directory))


def namespaces() -> int:
    return sum(1 for entry in os.scandir("/proc/self/fd") if os.readlink(entry.path).startswith("mnt:"))


def test_a_stage_holds_one_mount_and_hides_it_from_the_host(tmp_path: Path) -> None:
    made = stage.make(wish({"type": "tmpfs", "device": "tmpfs"}, str), str(tmp_path))
    try:
        first, second = (stage.root(made) for _ in range(2))
        written(first, "there")
        assert os.listdir(second) == ["there"]
        assert os.listdir(tmp_path) == []
        assert str(tmp_path) not in Path("/proc/self/mountinfo").read_text()
        tree = stage.tree(made, "", OpenTree.CLONE)
        with pytest.raises(FileNotFoundError):
            stage.tree(made, "nosuch", OpenTree.CLONE)
        for descriptor in (first, second, tree):
            os.close(descriptor)
    finally:
        os.close(made)


def test_it_is_mounted_while_somebody_uses_it(volumes: Volumes) -> None:
    mounts = MountedVolumes(volumes)
    before = namespaces()
    for user in ("one", "two"):
        mounts.hold(user, "tmp").close()
    with mounts.root("tmp") as root:
        written(root, "there")
    mounts.let_go("one")
    with mounts.root("tmp") as root:
        assert os.listdir(root) == ["there"]
    mounts.let_go("two")
    assert namespaces() == before
    with mounts.root("tmp") as root:
        assert os.listdir(root) == []


def test_the_next_daemon_finds_it_in_the_monitor(volumes: Volumes) -> None:
    before = namespaces()
    first, second = MountedVolumes(volumes), MountedVolumes(volumes)
    letter = first.hold("one", "tmp")
    with first.root("tmp") as root:
        written(root, "there")
    first.let_go("one")  # the daemon has gone; the monitor, here this process, has the letter
    second.adopt("one", letters.held_by(os.getpid()))
    with second.root("tmp") as root:
        assert os.listdir(root) == ["there"]
    second.let_go("one")
    letter.close()
    assert namespaces() == before


def test_a_start_that_is_given_up_while_a_server_thinks(volumes: Volumes, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts, begun, going = MountedVolumes(volumes), threading.Event(), threading.Event()
    make = stage.make

    def slow(*given: object) -> int:
        begun.set()
        assert going.wait(10)
        return make(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(stage, "make", slow)
    failed: list[BaseException] = []

    def hold() -> None:
        try:
            mounts.hold("one", "tmp")
        except MountFailed as error:
            failed.append(error)

    before = namespaces()
    thread = threading.Thread(target=hold)
    thread.start()
    assert begun.wait(10)
    mounts.let_go("one")
    going.set()
    thread.join()
    assert len(failed) == 1
    assert namespaces() == before
