"""The drivers on every file system that this kernel has, on loop devices; and stacks of hundreds of layers."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sampan.snapshots.staging import MAX_DEPTH
from sampan.snapshots.vfs import VfsSnapshotter
from tests.archives import PATH, Layer, busybox_rootfs, docker_archive
from tests.daemons import Sampan
from tests.requires import requires
from tests.waiting import eventually

pytestmark = requires("root", "overlay", "losetup", "docker-client", "busybox", "netns")

MAKERS = {
    "ext4": ("mkfs.ext4", "-q"),
    "xfs": ("mkfs.xfs", "-q"),
    "xfs-without-reflink": ("mkfs.xfs", "-q", "-m", "reflink=0"),
    "btrfs": ("mkfs.btrfs", "-q"),
    "tmpfs": (),
    "overlay": (),
}
"""How each is made. The last is no place for the kernel's overlay, which takes no overlay as its upper layer."""


@pytest.fixture(params=list(MAKERS))
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A fresh file system of that kind."""
    made = MAKERS[str(request.param)]
    target = tmp_path / "mounted"
    target.mkdir()
    if made:
        image = tmp_path / "image"
        with image.open("wb") as file:
            file.truncate(1 << 30)
        subprocess.run([*made, image], check=True)
        subprocess.run(["mount", "-o", "loop", image, target], check=True)
    elif request.param == "tmpfs":
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", target], check=True)
    else:
        for name in ("lower", "upper", "work"):
            (tmp_path / name).mkdir()
        options = f"lowerdir={tmp_path}/lower,upperdir={tmp_path}/upper,workdir={tmp_path}/work"
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, target], check=True)
    yield target
    subprocess.run(["umount", target], check=True)


def test_the_conformance_suite(place: Path, request: pytest.FixtureRequest) -> None:
    """Everything that tests/kernel/snapshots asks of the drivers."""
    # Docker and tar's own way with ACLs are compared on the machine's own file system only.
    suite = ["tests/kernel/snapshots/test_conformance.py", "tests/kernel/snapshots/test_changes.py"]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--basetemp={place}/run", *suite]
    command += ["tests/kernel/snapshots/test_drafts.py", "-o", "faulthandler_timeout=0"]
    # The driver btrfs has a file system of its own wherever the suite runs.
    command += ["-k", "(fuse or vfs) and not btrfs" if "[overlay]" in request.node.name else "not btrfs"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    print(done.stdout[-1500:])
    assert done.returncode == 0, done.stdout[-6000:]


@pytest.mark.parametrize("place", ["xfs", "btrfs"], indirect=True)
def test_vfs_shares_blocks_where_the_file_system_can(place: Path) -> None:
    """copy_file_range(2) clones on these: a container's copy of its image takes next to nothing."""
    layer = Layer()
    layer.file("large", os.urandom(64 << 20))
    tar = place / "layer.tar"
    tar.write_bytes(layer.tar())
    driver = VfsSnapshotter(place)
    try:
        with tar.open("rb") as stream:
            chain = driver.apply(None, stream).chain
        os.sync()
        before = os.statvfs(place).f_bfree
        driver.prepare("copy", chain)
        os.sync()
        taken = (before - os.statvfs(place).f_bfree) * os.statvfs(place).f_frsize
        print(f"a copy of 64 MiB took {taken} bytes")
        assert taken < 4 << 20
    finally:
        driver.close()


@pytest.fixture(scope="module")
def daemon(engine: Sampan) -> Iterator[Sampan]:
    yield engine
    engine.remove_containers()


def test_as_many_layers_as_there_may_be(daemon: Sampan) -> None:
    """480; what would be one more is refused."""
    layers = [busybox_rootfs()]
    for number in range(MAX_DEPTH - 2):
        layer = Layer()
        layer.directory("n")
        layer.file(f"n/{number}", b"%d" % number)
        layer.file("n/last", b"%d" % number)
        layers.append(layer.tar())
    archive = docker_archive("many:1", layers, {"Cmd": ["sh"], "Env": [PATH]})
    assert daemon.docker("load", stdin=archive, timeout=600).code == 0
    done = daemon.docker(
        "run", "--name", "many", "--net", "none", "many:1", "sh", "-c", "ls /n | wc -l; cat /n/last; rm /n/7"
    )
    assert (done.code, done.text.split()) == (0, [str(MAX_DEPTH - 1), str(MAX_DEPTH - 3)]), done
    assert daemon.docker("diff", "many").text.splitlines() == ["C /n", "D /n/7"]
    assert daemon.docker("commit", "many", "many:2").code == 0
    done = daemon.docker("run", "--rm", "--net", "none", "many:2", "sh", "-c", "ls /n | wc -l")
    assert (done.code, done.text) == (0, str(MAX_DEPTH - 2))
    assert daemon.docker("cp", "many:/n/12", "-").code == 0
    assert daemon.docker("run", "--name", "more", "--net", "none", "many:2", "rm", "/n/8").code == 0
    assert b"max depth exceeded" in daemon.docker("commit", "more", "many:3").err


_NAMES = st.sampled_from(["a", "b", "c", "ä\n", "deep", ".wh"])
_PATHS = st.lists(_NAMES, min_size=1, max_size=4).map("/".join)
_ACTS = st.one_of(
    st.tuples(st.just("file"), _PATHS, st.integers(0, 70_000)),
    st.tuples(st.just("directory"), _PATHS, st.sampled_from([0o700, 0o1777, 0o2755])),
    st.tuples(st.just("link"), _PATHS, _PATHS),
    st.tuples(st.just("hard"), _PATHS, _PATHS),
    st.tuples(st.just("fifo"), _PATHS, st.just(0)),
    st.tuples(st.just("device"), _PATHS, st.integers(0, 255)),
    st.tuples(st.just("sparse"), _PATHS, st.integers(1 << 16, 1 << 20)),
    st.tuples(st.just("capability"), _PATHS, st.integers(0, 40)),
    st.tuples(st.just("owner"), _PATHS, st.integers(0, 70_000)),
    st.tuples(st.just("remove"), _PATHS, st.just(0)),
    st.tuples(st.just("rename"), _PATHS, _PATHS),
    st.tuples(st.just("again"), _PATHS, st.just(0)),
)
_CAPABILITY = "security.capability"
_PROGRAM = """
import os, shutil, struct, sys
os.chroot(sys.argv[2])
os.chdir('/')
def act(kind, path, what):
    path = '/t/' + path
    if kind == 'file': open(path, 'w').write('x' * what)
    elif kind == 'directory': os.makedirs(path, exist_ok=True); os.chmod(path, what)
    elif kind == 'link': os.symlink('/t/' + what, path)
    elif kind == 'hard': os.link('/t/' + what, path, follow_symlinks=False)
    elif kind == 'fifo': os.mkfifo(path, 0o640)
    elif kind == 'device': os.mknod(path, 0o020666, os.makedev(1, what))
    elif kind == 'sparse': file = open(path, 'wb'); file.seek(what); file.write(b'end')
    elif kind == 'capability': os.setxattr(path, 'security.capability', struct.pack('<IIIII', 0x02000001, 1 << what % 31, 0, 0, 0))
    elif kind == 'owner': os.chown(path, what, what + 1, follow_symlinks=False)
    elif kind == 'remove': shutil.rmtree(path) if os.path.isdir(path) and not os.path.islink(path) else os.unlink(path)
    elif kind == 'rename': shutil.move(path, '/t/' + what)
    elif kind == 'again': shutil.rmtree(path); os.mkdir(path); open(path + '/new', 'w').write('new')
for line in eval(sys.argv[1]):
    try: act(*line)
    except (OSError, shutil.Error): pass
"""


def seen(root: Path) -> dict[str, tuple[object, ...]]:
    """Everything below, as a program would see it."""
    found: dict[str, tuple[object, ...]] = {}
    first: dict[int, str] = {}
    for directory, names, files in os.walk(root):
        for name in sorted([*names, *files]):
            path = Path(directory, name)
            status = path.lstat()
            kind = stat.S_IFMT(status.st_mode)
            content: object = ""
            if kind == stat.S_IFREG:
                content = path.read_bytes()
            elif kind == stat.S_IFLNK:
                content = os.readlink(path)
            listed = os.listxattr(path, follow_symlinks=False)
            attributes = {key: os.getxattr(path, key, follow_symlinks=False) for key in listed if key == _CAPABILITY}
            twin = "" if kind == stat.S_IFDIR else first.setdefault(status.st_ino, str(path.relative_to(root)))
            found[str(path.relative_to(root))] = (
                oct(status.st_mode), status.st_uid, status.st_gid, status.st_rdev, content, attributes, twin,
            )  # fmt: skip
    return found


@settings(max_examples=int(os.environ.get("EXAMPLES", "25")), deadline=None, suppress_health_check=list(HealthCheck))
@given(below=st.lists(_ACTS, max_size=12), above=st.lists(_ACTS, max_size=12))
def test_a_commit_is_what_was_there(
    daemon: Sampan, below: list[tuple[object, ...]], above: list[tuple[object, ...]]
) -> None:
    """A random tree is made and committed, changed at random and committed again: a container of it sees what was there."""
    image = "busybox"
    daemon.docker("rm", "-f", "write-0", "look-0", "write-1", "look-1")  # of an example that failed
    for number, acts in enumerate((below, above)):
        written = _started(daemon, f"write-{number}", image, acts)
        assert daemon.sampan("commit", f"write-{number}", f"tree:{number}").code == 0
        image = f"tree:{number}"
        assert _started(daemon, f"look-{number}", image, []) == written
    assert daemon.docker("rm", "-f", "write-0", "look-0", "write-1", "look-1").code == 0
    assert daemon.docker("rmi", "tree:1", "tree:0").code == 0


def _started(daemon: Sampan, name: str, image: str, acts: list[tuple[object, ...]]) -> dict[str, tuple[object, ...]]:
    """The tree of a running container in which these were done, by a program of the host's that stands in its root."""
    done = daemon.sampan("run", "-d", "--name", name, "--net", "none", image, "sh", "-c", "mkdir -p /t; exec sleep 600")
    assert done.code == 0, done
    pid = daemon.docker("inspect", "-f", "{{.State.Pid}}", name).text
    root = Path(f"/proc/{pid}/root")
    eventually((root / "t").is_dir)
    subprocess.run([sys.executable, "-c", _PROGRAM, repr(acts), root], check=True)
    return seen(root / "t")
