"""What a test may ask of its host: a closed list of names, each a probe that tries the feature in a forked child.

    @requires("root", "overlay", "cgroup:memory")
    def test_…

An unknown name raises when the test module is imported. A missing feature is a skip with its reason on a developer's
machine and a failure in CI (the variable CI is set), because a lane that skips itself proves nothing. The one exception
is a feature that the host has in its other form: `cgroup_v1:memory` on a machine that has `memory` on v2, and the
reverse.
"""

import functools
import os
import shutil
import signal
import socket
import struct
import subprocess
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from sampan.kernel.files import Resolve, openat2
from sampan.kernel.mount import MS, fsopen, mount
from sampan.kernel.namespaces import Clone, unshare
from sampan.kernel.process import Prctl, prctl

CONTROLLERS = ("blkio", "cpu", "cpuacct", "cpuset", "devices", "freezer", "memory", "pids")
_V2_NAMES = {"blkio": "io", "cpuacct": "cpu"}
_CGROUP_ROOT = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Missing:
    """Why a feature cannot be had. `other_form`: the host has it differently, and that is no fault of the host."""

    reason: str
    other_form: bool = False


Probe = Callable[[], Missing | None]


def requires(*names: str) -> pytest.MarkDecorator:
    """Mark a test with the features it needs; ValueError for a name that is not in the list."""
    unknown = [name for name in names if name not in PROBES]
    if unknown:
        raise ValueError(f"unknown feature {unknown[0]!r}; known are {', '.join(sorted(PROBES))}")
    return pytest.mark.requires(*names)


def missing(names: tuple[str, ...]) -> list[tuple[str, Missing]]:
    """Those of `names` that this host lacks, each with its reason. Every probe runs once in a session."""
    found = ((name, probed(name)) for name in names)
    return [(name, result) for name, result in found if result is not None]


@functools.cache
def probed(name: str) -> Missing | None:
    """The verdict of one probe."""
    return PROBES[name]()


def _tried(attempt: Callable[[], None]) -> Probe:
    """A probe that runs `attempt` in a forked child: it may unshare, mount and drop what it likes."""

    def probe() -> Missing | None:
        read_end, write_end = os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", DeprecationWarning
            )  # 3.12 warns of threads; this child only makes system calls
            child = os.fork()
        if child == 0:
            _attempt_and_exit(attempt, write_end)
        os.close(write_end)
        with open(read_end, "rb") as pipe:
            reason = pipe.read(4096).decode(errors="replace")
        _, status = os.waitpid(child, 0)
        if status and not reason:
            reason = f"the probe ended with status {os.waitstatus_to_exitcode(status)}"
        return Missing(reason) if reason else None

    return probe


def _attempt_and_exit(attempt: Callable[[], None], report: int) -> None:
    signal.alarm(10)
    try:
        attempt()
    except BaseException as error:  # noqa: BLE001 - the end of a child: whatever went wrong is the reason
        os.write(report, f"{type(error).__name__}: {error}".encode()[:4096])
        os._exit(1)
    os._exit(0)


def _root() -> Missing | None:
    return None if os.geteuid() == 0 else Missing("not run as root")


def _program(name: str, package: str) -> Probe:
    def probe() -> Missing | None:
        found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
        return None if found else Missing(f"no program {name!r} (Debian package {package})")

    return probe


def _private_mounts() -> None:
    unshare(Clone.NEWNS)
    mount(None, b"/", None, MS.REC | MS.PRIVATE)


def _overlay() -> None:
    _private_mounts()
    mount(b"tmpfs", b"/mnt", b"tmpfs", MS(0))
    for name in ("lower", "upper", "work", "merged"):
        os.mkdir(f"/mnt/{name}")
    options = b"lowerdir=/mnt/lower,upperdir=/mnt/upper,workdir=/mnt/work"
    mount(b"overlay", b"/mnt/merged", b"overlay", MS(0), options)
    Path("/mnt/merged/file").write_bytes(b"written")
    if Path("/mnt/upper/file").read_bytes() != b"written":
        raise OSError("the upper directory did not take the write")


def _mount_interface() -> None:
    os.close(fsopen(b"tmpfs"))


def _openat2() -> None:
    root = os.open("/", os.O_PATH | os.O_CLOEXEC)
    openat2(root, b"etc", os.O_PATH | os.O_CLOEXEC, Resolve.IN_ROOT)


def _namespace(flag: Clone) -> Callable[[], None]:
    return lambda: unshare(flag)


def _user_namespace() -> None:
    unshare(Clone.NEWUSER)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text("0 0 1")


def _link(kind: bytes) -> Callable[[], None]:
    """RTM_NEWLINK for an interface of this kind in a fresh network namespace (rtnetlink(7))."""

    def attempt() -> None:
        unshare(Clone.NEWNET)
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as netlink:
            name = _attribute(1, kind + b"\0")  # IFLA_INFO_KIND
            body = struct.pack("=BxHiII", 0, 0, 0, 0, 0) + _attribute(18 | 0x8000, name)  # IFLA_LINKINFO
            newlink_create_excl_ack = (16, 0x1 | 0x4 | 0x200 | 0x400)
            netlink.send(struct.pack("=IHHII", 16 + len(body), *newlink_create_excl_ack, 1, 0) + body)
            (error,) = struct.unpack_from("=i", netlink.recv(4096), 16)
        if error:
            raise OSError(-error, os.strerror(-error))

    return attempt


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)


def _nftables() -> None:
    unshare(Clone.NEWNET)
    subprocess.run(
        ["nft", "-f", "-"],
        input=b"table ip t { chain c { type nat hook postrouting priority 100; masquerade; }; }",
        check=True,
        capture_output=True,
        timeout=8,
    )


def _seccomp() -> None:
    prctl(Prctl.SET_NO_NEW_PRIVS, 1)
    status = Path("/proc/self/status").read_text()
    if "\nSeccomp:" not in status:
        raise OSError("no Seccomp line in /proc/self/status")


def _pidfd() -> None:
    os.close(os.pidfd_open(os.getpid()))


def _v1_directory(controller: str) -> Path | None:
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        if after.startswith("cgroup ") and controller in after.split(" ")[2].split(","):
            return Path(before.split(" ")[4])
    return None


def _v2_directory() -> Path | None:
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        if after.startswith("cgroup2 "):
            return Path(before.split(" ")[4])
    return None


def _on_v2(controller: str) -> bool:
    directory = _v2_directory()
    if directory is None:
        return False
    if controller in ("devices", "freezer"):
        return True  # a BPF program and cgroup.freeze: no controller of that name
    return _V2_NAMES.get(controller, controller) in (directory / "cgroup.controllers").read_text().split()


def _makes_group(directory: Path) -> Missing | None:
    group = directory / f"sampan-probe-{os.getpid()}"
    try:
        group.mkdir()
        group.rmdir()
    except OSError as error:
        return Missing(str(error))
    return None


def _cgroup_v1(controller: str) -> Probe:
    def probe() -> Missing | None:
        directory = _v1_directory(controller)
        if directory is not None:
            return _makes_group(directory)
        return Missing(f"{controller} is not on cgroup v1 here", other_form=_on_v2(controller))

    return probe


def _cgroup_v2(controller: str) -> Probe:
    def probe() -> Missing | None:
        if _on_v2(controller):
            return _makes_group(_v2_directory() or _CGROUP_ROOT)
        return Missing(f"{controller} is not on cgroup v2 here", other_form=_v1_directory(controller) is not None)

    return probe


def _cgroup_any(controller: str) -> Probe:
    def probe() -> Missing | None:
        on_v1 = _v1_directory(controller) is not None
        return _cgroup_v1(controller)() if on_v1 else _cgroup_v2(controller)()

    return probe


def _cgroup_v2_tree() -> Missing | None:
    directory = _v2_directory()
    return Missing("no cgroup2 file system is mounted") if directory is None else _makes_group(directory)


PROBES: dict[str, Probe] = {
    "root": _root,
    "overlay": _tried(_overlay),
    "mount-interface": _tried(_mount_interface),
    "openat2": _tried(_openat2),
    "pidfd": _tried(_pidfd),
    "mountns": _tried(_private_mounts),
    "pidns": _tried(_namespace(Clone.NEWPID)),
    "ipcns": _tried(_namespace(Clone.NEWIPC)),
    "utsns": _tried(_namespace(Clone.NEWUTS)),
    "cgroupns": _tried(_namespace(Clone.NEWCGROUP)),
    "timens": _tried(_namespace(Clone.NEWTIME)),
    "netns": _tried(_namespace(Clone.NEWNET)),
    "userns": _tried(_user_namespace),
    "veth": _tried(_link(b"veth")),
    "bridge": _tried(_link(b"bridge")),
    "nftables": _tried(_nftables),
    "seccomp": _tried(_seccomp),
    "cgroup_v2": _cgroup_v2_tree,
    **{f"cgroup:{name}": _cgroup_any(name) for name in CONTROLLERS},
    **{f"cgroup_v1:{name}": _cgroup_v1(name) for name in CONTROLLERS},
    **{f"cgroup_v2:{name}": _cgroup_v2(name) for name in CONTROLLERS},
    "busybox": _program("busybox", "busybox-static"),
    "docker-client": _program("docker", "docker.io or docker-cli"),
    "dockerd": _program("dockerd", "docker.io"),
    "ip": _program("ip", "iproute2"),
    "nft": _program("nft", "nftables"),
    "runc": _program("runc", "runc"),
    "skopeo": _program("skopeo", "skopeo"),
    "umoci": _program("umoci", "umoci"),
    "mmdebstrap": _program("mmdebstrap", "mmdebstrap"),
    "tmux": _program("tmux", "tmux"),
}
