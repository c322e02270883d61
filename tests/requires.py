"""What a test may ask of its host: a closed list of names.

    @requires("root", "overlay", "cgroup:memory")
    def test_…

The answers are the engine's own probes (`sampan.host`, which tries each feature in a forked child), the same that
`sampan system check-host` prints. An unknown name raises when the test module is imported. A missing feature is a skip
with its reason on a developer's machine and a failure in CI (the variable CI is set), because a lane that skips itself
proves nothing. The one exception is a feature that the host has in its other form: `cgroup_v1:memory` on a machine that
has `memory` on v2, and the reverse; or a `docker` command of another release than the one that is compared with.
"""

import functools
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from sampan.host.check import probe_all
from sampan.host.finding import Finding
from sampan.host.groups import Hierarchies, hierarchies

CONTROLLERS = ("blkio", "cpu", "cpuacct", "cpuset", "devices", "freezer", "memory", "pids")

HOST_PROBES = {
    "root": "root",
    "openat2": "openat2",
    "pidfd": "pidfd",
    "mount-interface": "mount interface",
    "overlay": "overlay",
    "mountns": "mount namespace",
    "pidns": "pid namespace",
    "ipcns": "ipc namespace",
    "utsns": "uts namespace",
    "netns": "network namespace",
    "cgroupns": "cgroup namespace",
    "userns": "user namespace",
    "idmap": "idmapped mounts",
    "timens": "time namespace",
    "veth": "veth",
    "bridge": "bridge",
    "macvlan": "macvlan",
    "ipvlan": "ipvlan",
    "nftables": "nftables",
    "seccomp": "seccomp",
    "fuse": "fuse",
}
"""Name here → the finding's name."""

PROGRAMS = {
    "buildah": "buildah",
    "busybox": "busybox-static",
    "mkfs.btrfs": "btrfs-progs",
    "docker-client": "docker.io or docker-cli",
    "docker-registry": "docker-registry",
    "containerd": "containerd",
    "dockerd": "docker.io",
    "firewalld": "firewalld",
    "fuse-overlayfs": "fuse-overlayfs",
    "git": "git",
    "htpasswd": "apache2-utils",
    "go": "golang-go",
    "ip": "iproute2",
    "losetup": "mount",
    "newuidmap": "uidmap",
    "nft": "nftables",
    "pasta": "passt",
    "rsyslogd": "rsyslog",
    "runc": "runc",
    "setpriv": "util-linux",
    "skopeo": "skopeo",
    "ufw": "ufw",
    "slirp4netns": "slirp4netns",
    "systemd-analyze": "systemd",
    "umoci": "umoci",
    "useradd": "passwd",
    "mmdebstrap": "mmdebstrap",
    "podman": "podman",
    "tmux": "tmux",
}
"""Name → the Debian package that has the program."""


@dataclass(frozen=True)
class Missing:
    """Why a feature cannot be had. `other_form`: the host has it differently, and that is no fault of the host."""

    reason: str
    other_form: bool = False


def requires(*names: str) -> pytest.MarkDecorator:
    """Mark a test with the features it needs; ValueError for a name that is not in the list."""
    unknown = [name for name in names if name not in PROBES]
    if unknown:
        raise ValueError(f"unknown feature {unknown[0]!r}; known are {', '.join(sorted(PROBES))}")
    return pytest.mark.requires(*names)


def missing(names: tuple[str, ...]) -> list[tuple[str, Missing]]:
    """Those of `names` that this host lacks, each with its reason."""
    found = ((name, probed(name)) for name in names)
    return [(name, result) for name, result in found if result is not None]


def probed(name: str) -> Missing | None:
    """The verdict on one name."""
    return PROBES[name]()


@functools.cache
def _findings() -> dict[str, Finding]:
    return {finding.name: finding for finding in probe_all("/tmp")}


def _on_host(name: str) -> Missing | None:
    finding = _findings()[HOST_PROBES[name]]
    return None if finding.ok else Missing(finding.why or finding.hint)


def _program(name: str) -> Missing | None:
    program = name.removesuffix("-client")
    found = shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    return None if found else Missing(f"no program {program!r} (Debian package {PROGRAMS[name]})")


def _docker_client(release: int) -> Missing | None:
    """The `docker` command whose flags and words are taken as the measure. An older one has others, which is no fault."""
    if (lack := _program("docker-client")) is not None:
        return lack
    here = _docker_release()
    return (
        None if here >= release else Missing(f"docker {release} is compared with, and {here} is here", other_form=True)
    )


@functools.cache
def _docker_release() -> int:
    said = subprocess.run(["docker", "--version"], capture_output=True, text=True, timeout=30).stdout
    found = re.search(r"version (\d+)\.", said)
    return int(found[1]) if found else 0


def _open_tree() -> Missing | None:
    """An ordinary user runs this tree's command: who has it below /root needs another place."""
    for path in (Path(__file__).parents[1] / "src", Path(sys.executable).resolve()):
        done = subprocess.run(["setpriv", "--reuid=65534", "--clear-groups", "test", "-r", path], check=False)
        if done.returncode:
            return Missing(f"other users cannot read {path}")
    return None


def _file_system(kind: str) -> Missing | None:
    """Known to the kernel, or a module that mount(8) has it load."""
    known = any(line.split()[-1] == kind for line in Path("/proc/filesystems").read_text().splitlines())
    if known or subprocess.run(["modinfo", kind], check=False, capture_output=True).returncode == 0:
        return None
    return Missing(f"this kernel has no {kind}")


def _way_out() -> Missing | None:
    lines = Path("/proc/net/route").read_text().splitlines()[1:]
    return (
        None if any(line.split()[1] == "00000000" for line in lines) else Missing("this machine has no default route")
    )


def _cgroup_v2(trees: Hierarchies) -> Missing | None:
    return None if trees.v2 else Missing("no cgroup2 file system is mounted")


def _controller(version: int, controller: str) -> Missing | None:
    """`version` 0 takes either."""
    _, here = hierarchies().place(controller)
    if here == 0:
        return Missing(f"no control group hierarchy has {controller}")
    if version in (0, here):
        return None
    return Missing(f"{controller} is on cgroup v{here} here", other_form=True)


PROBES: dict[str, Callable[[], Missing | None]] = {
    **{name: functools.partial(_on_host, name) for name in HOST_PROBES},
    **{name: functools.partial(_program, name) for name in PROGRAMS},
    "btrfs": lambda: _file_system("btrfs"),
    "open-tree": _open_tree,
    "way-out": _way_out,
    "docker-client:28": functools.partial(_docker_client, 28),
    "cgroup_v2": lambda: _cgroup_v2(hierarchies()),
    **{f"cgroup:{name}": functools.partial(_controller, 0, name) for name in CONTROLLERS},
    **{f"cgroup_v1:{name}": functools.partial(_controller, 1, name) for name in CONTROLLERS},
    **{f"cgroup_v2:{name}": functools.partial(_controller, 2, name) for name in CONTROLLERS},
}
