"""What docker-bench-security looks at of containers and the daemon, by the same means: `inspect`, `info` and modes of files.

The numbers are those of the CIS benchmark for Docker, from which that program takes its checks.
"""

import json
import stat
from collections.abc import Callable
from typing import Any

import pytest

from tests.daemons import Daemon, Sampan, running_sampan
from tests.requires import requires
from tests.user_namespaces import POOL

pytestmark = requires("root", "overlay", "busybox", "docker-client")

Shown = dict[str, Any]
CHECKS: dict[str, Callable[[Shown, Shown], bool]] = {
    "5.3 few capabilities": lambda host, _: not host["CapAdd"] and bool(host["CapDrop"]),
    "5.4 not privileged": lambda host, _: host["Privileged"] is False,
    "5.5 no directories of the host": lambda host, _: not host["Binds"],
    "5.9 a network of its own": lambda host, _: host["NetworkMode"] != "host",
    "5.10 a limit of memory": lambda host, _: host["Memory"] > 0,
    "5.11 a share of processors": lambda host, _: host["CpuShares"] > 0 or host["NanoCpus"] > 0,
    "5.12 a root that is read-only": lambda host, _: host["ReadonlyRootfs"] is True,
    "5.15 pids of its own": lambda host, _: host["PidMode"] != "host",
    "5.16 ipc of its own": lambda host, _: host["IpcMode"] == "private",
    "5.17 no devices": lambda host, _: not host["Devices"],
    "5.19 no shared mounts": lambda _, whole: all(one["Propagation"] != "shared" for one in whole["Mounts"]),
    "5.20 a name of its own": lambda host, _: host["UTSMode"] != "host",
    "5.21 the filter of calls": lambda host, _: "seccomp=unconfined" not in (host["SecurityOpt"] or ()),
    "5.24 groups where they belong": lambda host, _: host["CgroupParent"] == "",
    "5.25 no new privileges": lambda host, _: "no-new-privileges" in (host["SecurityOpt"] or ()),
    "5.28 a limit of processes": lambda host, _: (host["PidsLimit"] or 0) > 0,
    "5.31 not the engine's socket": lambda host, _: "sock" not in json.dumps(host["Binds"]),
    "masked": lambda host, _: (
        "/proc/kcore" in (host["MaskedPaths"] or ()) and "/proc/sys" in (host["ReadonlyPaths"] or ())
    ),
}
BY_DEFAULT = {
    *("5.3 few capabilities", "5.10 a limit of memory", "5.11 a share of processors", "5.12 a root that is read-only"),
    *("5.25 no new privileges", "5.28 a limit of processes"),
}
"""What Docker's own defaults fail, too: they are for whoever starts a container to choose."""


def failed(engine: Daemon, *options: str) -> set[str]:
    made = engine.docker("create", *options, "busybox", "true")
    assert made.code == 0, made
    (whole,) = json.loads(engine.docker("inspect", made.text).out)
    engine.docker("rm", made.text)
    return {name for name, check in CHECKS.items() if not check(whole["HostConfig"], whole)}


def test_a_plain_container(engine: Sampan) -> None:
    assert failed(engine) == BY_DEFAULT


def test_a_hardened_one(engine: Sampan) -> None:
    left = failed(engine, "--security-opt", "sampan=hardened", "-m", "64m", "--cpus", "1", "--read-only")
    assert left == set()


@requires("userns", "idmap")
def test_one_with_users_of_its_own() -> None:
    """2.9: user namespaces, for one container by its annotation; all else is judged as before."""
    with running_sampan(*POOL) as engine:
        engine.load_busybox()
        assert failed(engine, "--annotation", "sampan.userns=auto") == BY_DEFAULT
        hardened = ("--security-opt", "sampan=hardened", "-m", "64m", "--cpus", "1", "--read-only")
        assert failed(engine, "--annotation", "sampan.userns=auto", *hardened) == set()


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (("--privileged",), {"5.4 not privileged", "masked"}),
        (("--pid", "host"), {"5.15 pids of its own"}),
        (("--network", "host"), {"5.9 a network of its own"}),
        (("--uts", "host"), {"5.20 a name of its own"}),
        (("--security-opt", "seccomp=unconfined"), {"5.21 the filter of calls"}),
        (
            ("-v", "/run/docker.sock:/run/docker.sock"),
            {"5.5 no directories of the host", "5.31 not the engine's socket"},
        ),
        (("--device", "/dev/null:/dev/x"), {"5.17 no devices"}),
    ],
    ids=str,
)
def test_the_checks_find_what_they_are_for(engine: Sampan, options: tuple[str, ...], found: set[str]) -> None:
    """The control."""
    assert failed(engine, *options) == BY_DEFAULT | found


def test_the_daemon(engine: Sampan) -> None:
    """Modes of its files, and what `info` says of its settings."""
    assert stat.S_IMODE(engine.socket.stat().st_mode) == 0o660
    assert engine.socket.stat().st_uid == 0
    assert stat.S_IMODE(engine.data_root.stat().st_mode) & 0o067 == 0
    info = json.loads(engine.docker("info", "-f", "{{json .}}").out)
    assert "name=seccomp,profile=builtin" in info["SecurityOptions"]
    assert info["ExperimentalBuild"] is False
    assert info["Driver"] in ("overlay2", "overlay")
