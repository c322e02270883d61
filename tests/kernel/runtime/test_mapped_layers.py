"""An overlay whose layers have the maps of a user namespace, put together in both ways: layer by layer, or in one string.

The second is that of kernels before Linux 6.7.
Each case runs in a process of its own, which gets a mount namespace that goes with it.
"""

import json
import os
import signal
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sampan.kernel.mount import MS, mount
from sampan.kernel.namespaces import Clone, clone3, setns, unshare
from sampan.kernel.process import Prctl, prctl
from sampan.runtime import union, users
from sampan.runtime.steps import StepFailed
from tests.requires import requires

pytestmark = requires("root", "overlay", "userns", "idmap")

FIRST = 700000
ROOT = [FIRST, FIRST + 5000]
MAPS = {"uids": [[0, FIRST, 1000]], "gids": [[0, FIRST + 5000, 1000]], "root": ROOT}


@pytest.fixture
def namespace() -> Iterator[int]:
    """A user namespace with these maps."""
    reading, writing = os.pipe()
    pid, pidfd = clone3(Clone.NEWUSER)
    if pid == 0:
        os.close(writing)
        os.read(reading, 1)
        os._exit(0)
    os.close(reading)
    try:
        made = users.establish(pid, MAPS)
    finally:
        os.close(writing)
        os.waitpid(pid, 0)
        os.close(pidfd)
    yield made
    os.close(made)


@pytest.fixture
def layers(tmp_path: Path) -> dict[str, object]:
    """Two layers, with files of root's and of user 7's, and what is written to."""
    for name in ("low", "high", "rw/upper", "rw/work", "place"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "low" / "file").write_text("low")
    (tmp_path / "low" / "gone").write_text("low")
    (tmp_path / "high" / "seven").write_text("high")
    os.chown(tmp_path / "high" / "seven", 7, 8)
    rw = tmp_path / "rw"
    lowers = [str(tmp_path / "high"), str(tmp_path / "low")]
    return {"plain": "", "lowers": lowers, "upper": str(rw / "upper"), "work": str(rw / "work"), "volatile": False}


def apart(work: Callable[[], object]) -> object:
    """What `work` gives, done by a child."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            prctl(Prctl.SET_PDEATHSIG, signal.SIGKILL)
            # What is attached here must not show outside, as it does not from the launcher's namespace.
            unshare(Clone.NEWNS)
            mount(None, b"/", None, MS.REC | MS.PRIVATE)
            os.write(writing, json.dumps(work()).encode())
            os._exit(0)
        except BaseException as error:  # noqa: BLE001 - the child's end, told to the test
            os.write(writing, json.dumps(f"{type(error).__name__}: {error}").encode())
        finally:
            os._exit(1)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read()
    os.waitpid(child, 0)
    return json.loads(told)


@pytest.mark.parametrize("one_by_one", [True, False], ids=["layer by layer", "in one string"])
def test_owners_inside_and_on_the_disk(
    namespace: int, layers: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one_by_one: bool
) -> None:
    monkeypatch.setattr(union, "_layer_by_layer", one_by_one)
    monkeypatch.setattr(union, "NEW_ROOT", os.fsencode(tmp_path / "place"))

    def work() -> dict[str, list[int]]:
        made = union.overlay(layers, (namespace, ROOT))
        as_host = os.stat("seven", dir_fd=made)
        setns(namespace, Clone.NEWUSER)
        users.root_inside(None)
        os.chown("file", 9, 9, dir_fd=made)
        os.unlink("gone", dir_fd=made)
        os.mkdir("made", dir_fd=made)
        inside = [os.stat(name, dir_fd=made) for name in ("seven", "file", "made")]
        return {"host": [as_host.st_uid, as_host.st_gid], "inside": [one.st_uid for one in inside]}

    assert apart(work) == {"host": [FIRST + 7, FIRST + 5008], "inside": [7, 9, 0]}
    upper = tmp_path / "rw" / "upper"
    assert [(upper / name).stat().st_uid for name in ("file", "made")] == [9, 0]
    assert stat.S_ISCHR((upper / "gone").lstat().st_mode)
    assert (tmp_path / "low" / "file").stat().st_uid == 0


def test_a_plain_root(namespace: int, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")

    def work() -> int:
        made = union.overlay({"plain": str(tmp_path)}, (namespace, ROOT))
        return os.stat("file", dir_fd=made).st_uid

    assert apart(work) == FIRST


def test_rights_are_as_before(
    namespace: int, layers: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who has made an overlay is root of the host again, with all capabilities, and ends with its parent."""
    monkeypatch.setattr(union, "NEW_ROOT", os.fsencode(tmp_path / "place"))

    def state() -> list[str]:
        lines = Path("/proc/self/status").read_text().splitlines()
        return [line for line in lines if line.startswith(("Uid", "Gid", "Cap"))]

    def work() -> list[object]:
        before = state()
        union.overlay(layers, (namespace, ROOT))
        return [before == state(), prctl(Prctl.GET_DUMPABLE)]

    assert apart(work) == [True, 0]


def test_a_kernel_whose_overlay_takes_no_such_layers_is_named(
    namespace: int, layers: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its EINVAL, which here comes of one directory for both purposes."""
    monkeypatch.setattr(union, "NEW_ROOT", os.fsencode(tmp_path / "place"))
    told = apart(lambda: union.overlay({**layers, "work": layers["upper"]}, (namespace, ROOT)))
    assert "StepFailed: overlay does not take the container's layers with users of their own" in str(told)
    assert "from Linux 5.19 on" in str(told)


def test_a_file_system_without_maps_is_named(namespace: int) -> None:
    with pytest.raises(StepFailed, match="does not support idmapped mounts"):
        union.overlay({"plain": "/proc"}, (namespace, ROOT))


@pytest.mark.parametrize("rows", [[[0, FIRST, 10], [5, FIRST + 50, 10]], [[0, FIRST, 0]]])
def test_a_map_that_the_kernel_refuses_is_shown(rows: list[list[int]]) -> None:
    pid, pidfd = clone3(Clone.NEWUSER)
    if pid == 0:
        signal.pause()
        os._exit(0)
    try:
        with pytest.raises(StepFailed, match="the kernel does not take the map of uids"):
            users.establish(pid, {**MAPS, "uids": rows})
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        os.close(pidfd)
