"""Bundles as data: what is understood, and what is refused by name."""

import json
from pathlib import Path
from typing import Any

import pytest

from sampan.errors import InvalidParameter, NotImplementedHere, SampanError
from sampan.oci.documents import CpuAffinity, Linux, Process, read_bundle
from sampan.oci.manner import Manner, Scheduler, of_exec
from sampan.oci.mounts import MadeMount, MappedMount
from sampan.oci.translate import Arrangement, Host, arrangement
from sampan.runtime.seccomp_policy import filter_flags
from sampan.spec import oci_runtime as oci
from sampan.spec.user_maps import UserMaps

HOST = Host("x86_64", (6, 18), frozenset({"CAP_CHOWN", "CAP_KILL"}), v2=True)
ON_V1 = Host("x86_64", (6, 18), frozenset({"CAP_CHOWN", "CAP_KILL"}), v2=False)
ROW = {"containerID": 0, "hostID": 100_000, "size": 65536}
TIMED = {"namespaces": [{"type": "mount"}, {"type": "time"}]}
BIND = {"destination": "/x", "source": "/x", "options": ["bind"]}
DEV = {"destination": "/dev", "type": "tmpfs", "options": ["nosuid", "size=64k"]}


def bundle(**changed: Any) -> dict[str, Any]:
    """The least that is a container; `process__cwd="/x"` changes a member below."""
    document: dict[str, Any] = {
        "ociVersion": "1.0.2",
        "root": {"path": "rootfs"},
        "process": {"args": ["true"], "cwd": "/"},
        "mounts": [DEV],
        "linux": {"namespaces": [{"type": "mount"}]},
    }
    for path, value in changed.items():
        *parents, name = path.split("__")
        place = document
        for parent in parents:
            place = place.setdefault(parent, {})
        place[name] = value
    return document


def users(*rows: dict[str, int]) -> dict[str, Any]:
    """`linux` with a user namespace of these rows."""
    return {"namespaces": [{"type": "mount"}, {"type": "user"}], "uidMappings": rows, "gidMappings": rows}


def asking(call: str, path: str = "/agent") -> dict[str, Any]:
    """A filter that asks an agent about one system call."""
    rules = [{"names": [call], "action": "SCMP_ACT_NOTIFY"}]
    return {"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": path, "syscalls": rules}


def read(directory: Path, host: Host = HOST, **changed: Any) -> Arrangement:
    (directory / "config.json").write_text(json.dumps(bundle(**changed)))
    return arrangement(read_bundle(str(directory)), str(directory), host)


def test_the_least(tmp_path: Path) -> None:
    found = read(tmp_path)
    assert found.rootfs == f"{tmp_path}/rootfs"
    assert found.config.process.user.name == "0:0"
    assert found.config.mounts == (oci.Mount(destination="/dev", type="tmpfs", options=("nosuid", "size=64k")),)


def test_sources_are_the_bundles_and_destinations_the_containers(tmp_path: Path) -> None:
    mounts = [DEV, {"destination": "data/../x/", "source": "files", "options": ["rbind", "ro"]}]
    found = read(tmp_path, mounts=mounts).config.mounts[1]
    assert (found.destination, found.type, found.source) == ("/x", "bind", f"{tmp_path}/files")


def test_what_the_host_cannot_give_is_left_out_of_capabilities(tmp_path: Path) -> None:
    asked = ["CAP_CHOWN", "CAP_SYS_RESOURCE"]
    caps = read(tmp_path, process__capabilities={"bounding": asked, "ambient": asked}).config.process.capabilities
    assert caps.bounding == ("CAP_CHOWN",)
    assert caps.ambient == (), "none is ambient that is not inheritable"


def test_unlimited_resource_limits(tmp_path: Path) -> None:
    limits = [{"type": "RLIMIT_CORE", "soft": 0, "hard": 18446744073709551615}]
    assert read(tmp_path, process__rlimits=limits).config.process.rlimits == (oci.Rlimit("RLIMIT_CORE", 0, -1),)


def test_a_file_system_in_memory_that_starts_filled(tmp_path: Path) -> None:
    found = read(tmp_path, mounts=[DEV, {"destination": "/run", "type": "tmpfs", "options": ["tmpcopyup", "mode=755"]}])
    assert found.filled == {"/run": ("tmpcopyup", "mode=755")}
    assert found.config.mounts[1].type == "bind"


@pytest.mark.parametrize(
    ("changed", "kind", "text"),
    [
        ({"ociVersion": "2.0.0"}, InvalidParameter, "ociVersion"),
        ({"root": None}, InvalidParameter, "root.path"),
        ({"process": None}, InvalidParameter, "process is missing"),
        ({"process__args": []}, InvalidParameter, "process.args"),
        ({"process__args": ["a\0b"]}, InvalidParameter, "NUL"),
        ({"hooks__startContainer": [{"path": "/a\0b"}]}, InvalidParameter, "NUL"),
        ({"process__cwd": "relative"}, InvalidParameter, "process.cwd"),
        ({"process__selinuxLabel": "a:b:c"}, NotImplementedHere, "selinuxLabel"),
        ({"process__rlimits": [{"type": "RLIMIT_X", "soft": 1, "hard": 1}]}, InvalidParameter, "RLIMIT_X"),
        ({"process__rlimits": [{"type": "RLIMIT_CPU", "soft": -1, "hard": 1}]}, InvalidParameter, "out of range"),
        ({"process__scheduler": {"policy": "SCHED_MOON"}}, InvalidParameter, "process.scheduler.policy"),
        ({"process__scheduler": {"policy": "SCHED_FIFO", "nice": 3}}, InvalidParameter, "scheduler.nice"),
        ({"process__scheduler": {"policy": "SCHED_OTHER", "priority": 3}}, InvalidParameter, "scheduler.priority"),
        ({"process__scheduler": {"policy": "SCHED_OTHER", "runtime": 3}}, InvalidParameter, "SCHED_DEADLINE"),
        ({"process__scheduler": {"policy": "SCHED_OTHER", "flags": ["X"]}}, InvalidParameter, "scheduler.flags"),
        ({"process__ioPriority": {"class": "IOPRIO_CLASS_NONE"}}, InvalidParameter, "ioPriority.class"),
        ({"process__ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 8}}, InvalidParameter, "priority"),
        ({"hostname": "name"}, InvalidParameter, "UTS"),
        ({"hostname": "a\nb"}, InvalidParameter, "host or domain name"),
        ({"linux__namespaces": []}, NotImplementedHere, "mount namespace"),
        ({"linux__namespaces": [{"type": "mount"}, {"type": "user"}]}, InvalidParameter, "uidMappings"),
        ({"linux__uidMappings": [ROW]}, InvalidParameter, "USER namespace isn't enabled"),
        ({"linux": users({**ROW, "containerID": 5})}, InvalidParameter, "no mapping found for id 0"),
        ({"linux": users(ROW, ROW)}, InvalidParameter, "overlap"),
        ({"linux": users({**ROW, "size": 0})}, InvalidParameter, "size 0"),
        ({"linux": users(*[{"containerID": n, "hostID": n, "size": 1} for n in range(341)])}, InvalidParameter, "340"),
        ({"linux__timeOffsets": {"boottime": {"secs": 1}}}, InvalidParameter, "no time namespace"),
        ({"linux": {**TIMED, "timeOffsets": {"realtime": {"secs": 1}}}}, InvalidParameter, "'realtime'"),
        ({"linux": {**TIMED, "timeOffsets": {"boottime": {"nanosecs": 10**9}}}}, InvalidParameter, "nanosecs"),
        ({"linux__namespaces": [{"type": "mount"}, {"type": "moon"}]}, InvalidParameter, "moon"),
        ({"linux__namespaces": [{"type": "mount"}, {"type": "mount"}]}, InvalidParameter, "twice"),
        ({"linux__namespaces": [{"type": "mount"}, {"type": "pid", "path": "x"}]}, InvalidParameter, "not absolute"),
        ({"linux__sysctl": {"kernel.core_pattern": "|/bin/sh"}}, InvalidParameter, "kernel.core_pattern"),
        ({"linux__sysctl": {"net.ipv4.ip_forward": "1"}}, InvalidParameter, "host network namespace"),
        ({"linux__maskedPaths": ["proc/kcore"]}, InvalidParameter, "not absolute"),
        ({"linux__intelRdt": {"closID": "x"}}, NotImplementedHere, "intelRdt"),
        ({"linux__netDevices": {"eth0": {}}}, NotImplementedHere, "netDevices"),
        ({"linux__personality": {"domain": "LINUX64"}}, InvalidParameter, "personality.domain"),
        ({"linux__personality": {"domain": "LINUX", "flags": ["X"]}}, InvalidParameter, "flags are not supported"),
        ({"linux__memoryPolicy": {"mode": "MPOL_X"}}, InvalidParameter, "memoryPolicy.mode"),
        ({"linux__memoryPolicy": {"mode": "MPOL_BIND", "nodes": "3-1"}}, InvalidParameter, "downwards"),
        ({"linux__memoryPolicy": {"mode": "MPOL_BIND", "nodes": "0-99999"}}, InvalidParameter, "no list"),
        ({"linux__rootfsPropagation": "sideways"}, InvalidParameter, "sideways"),
        ({"linux__devices": [{"path": "dev/x", "type": "c"}]}, InvalidParameter, "device"),
        ({"linux__resources__cpu": {"burst": -5}}, InvalidParameter, "burst"),
        ({"linux__resources__devices": [{"allow": True, "type": "x"}]}, InvalidParameter, "rule"),
        ({"linux__resources__hugepageLimits": [{"pageSize": "../x", "limit": 1}]}, InvalidParameter, "page size"),
        ({"linux__seccomp": {"defaultAction": "SCMP_ACT_NOTIFY"}}, InvalidParameter, "default action"),
        ({"linux__seccomp": asking("mkdir", path="")}, InvalidParameter, "listenerPath"),
        ({"linux__seccomp": asking("sendmsg")}, InvalidParameter, "sendmsg"),
        ({"linux__seccomp": {**asking("mkdir"), "flags": ["X"]}}, InvalidParameter, "flag X"),
        ({"mounts": []}, NotImplementedHere, "/dev"),
        ({"mounts": [DEV, {"destination": "/x", "type": "proc"}]}, NotImplementedHere, "type 'proc' on /x"),
        ({"mounts": [DEV, {"destination": "/x", "type": "tmpfs", "options": ["odd"]}]}, NotImplementedHere, "odd"),
        ({"mounts": [DEV, {"destination": "/x", "options": ["bind", "idmap"]}]}, InvalidParameter, "idmap without"),
        ({"mounts": [DEV, {"destination": "/x", "type": "tmpfs", "options": ["idmap"]}]}, InvalidParameter, "for bind"),
        ({"mounts": [DEV, {**BIND, "uidMappings": [ROW]}]}, InvalidParameter, "both"),
        ({"mounts": [DEV, {"destination": "/x", "type": "no/kind"}]}, InvalidParameter, "no file system"),
        ({"mounts": [DEV, {"destination": "/x", "type": "ext4"}], "linux": users(ROW)}, NotImplementedHere, "ext4"),
        ({"mounts": [DEV, {"destination": "", "type": "tmpfs"}]}, InvalidParameter, "destination"),
        ({"process__user": {"uid": -1}}, InvalidParameter, "config.json"),
        ({"process__user": {"uid": 1 << 32}}, InvalidParameter, "config.json"),
    ],
)
def test_refused(tmp_path: Path, changed: dict[str, Any], kind: type[SampanError], text: str) -> None:
    with pytest.raises(kind, match=text):
        read(tmp_path, **changed)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"ociVersion": 1}', "\xff", "[" * 100_000])
def test_no_document(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(InvalidParameter):
        read_bundle(str(tmp_path))


def test_limits_by_their_files_names(tmp_path: Path) -> None:
    resources = {
        "hugepageLimits": [{"pageSize": "2MB", "limit": 4096}],
        "rdma": {"mlx5_1": {"hcaHandles": 3}},
        "memory": {"swappiness": 10, "limit": 1 << 20},
        "cpu": {"burst": 500, "idle": 1},
        "pids": {"limit": 0},
    }
    v2 = read(tmp_path, linux__resources=resources).config.linux.resources
    v1 = read(tmp_path, ON_V1, linux__resources=resources).config.linux.resources
    of_both = {"cpu.idle": "1", "rdma.max": "mlx5_1 hca_handle=3"}
    assert v2.unified == {"hugetlb.2MB.max": "4096", "cpu.max.burst": "500", **of_both}
    assert v1.unified == {"hugetlb.2MB.limit_in_bytes": "4096", "cpu.cfs_burst_us": "500", **of_both}
    assert (v2.memory.swappiness, v1.memory.swappiness) == (None, 10)
    assert v2.pids_limit is None


def test_devices_that_no_container_can_do_without_come_last(tmp_path: Path) -> None:
    asked = [
        {"allow": False, "access": "rwm"},
        {"allow": False, "type": "c", "major": 10, "minor": 229, "access": "rwm"},
    ]
    rules = read(tmp_path, linux__resources={"devices": asked}).config.linux.resources.devices
    assert rules[0] == oci.DeviceRule(allow=False)
    assert rules[1] == oci.DeviceRule(allow=False, type="c", major=10, minor=229)
    assert oci.DeviceRule(allow=True, type="c", major=1, minor=3) in rules[2:]


def test_a_word_may_speak_of_a_nul(tmp_path: Path) -> None:
    assert read(tmp_path, process__args=["echo", "\\u0000"]).config.process.args == ("echo", "\\u0000")


def test_users_of_its_own(tmp_path: Path) -> None:
    found = read(tmp_path, linux=users(ROW)).config.linux.users
    assert found == UserMaps(uids=((0, 100_000, 65536),), gids=((0, 100_000, 65536),))


def test_maps_of_mounts_are_told_apart_from_the_containers(tmp_path: Path) -> None:
    own = {"uidMappings": [ROW], "gidMappings": [ROW], "options": ["rbind", "ridmap"]}
    mounts = [DEV, {**BIND, "options": ["rbind", "idmap"]}, {**BIND, **own}]
    found = read(tmp_path, linux=users(ROW), mounts=mounts)
    assert [mount.options for mount in found.config.mounts[1:]] == [("rbind", "idmap"), ("rbind",)]
    assert found.mapped == {1: MappedMount(((0, 100_000, 65536),), ((0, 100_000, 65536),), recursive=True)}


def test_how_it_is_run(tmp_path: Path) -> None:
    asked = read(
        tmp_path,
        process__scheduler={"policy": "SCHED_RR", "priority": 7, "flags": ["SCHED_FLAG_RESET_ON_FORK"]},
        process__ioPriority={"class": "IOPRIO_CLASS_IDLE"},
        process__execCPUAffinity={"initial": "0"},
        linux={
            **TIMED,
            "timeOffsets": {"monotonic": {"secs": -5, "nanosecs": 7}},
            "personality": {"domain": "LINUX32"},
            "memoryPolicy": {"mode": "MPOL_BIND", "nodes": "0,2-3", "flags": ["MPOL_F_STATIC_NODES"]},
        },
    ).manner
    assert asked == Manner(
        scheduler=Scheduler(policy=2, flags=1, nice=0, priority=7, times=(0, 0, 0)),
        io=(3, 0),
        personality=8,
        memory=(2 | 1 << 15, frozenset({0, 2, 3})),
        clocks=(("monotonic", -5, 7),),
    ), "and the affinity is an exec's alone"


def test_processors_of_an_exec() -> None:
    asked = Process(exec_cpu_affinity=CpuAffinity(initial="0-2", final="1"))
    found = of_exec(asked, Linux())
    assert (found.initial, found.final) == (frozenset({0, 1, 2}), frozenset({1}))


def test_a_filter_that_asks(tmp_path: Path) -> None:
    flags = ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"]
    asked = {**asking("mkdir"), "flags": flags, "listenerMetadata": "mine"}
    found = read(tmp_path, linux__seccomp=asked).config.linux.seccomp
    assert found is not None
    assert (found.listener_path, found.listener_metadata) == ("/agent", "mine")
    assert filter_flags(found) == 1 << 1 | 1 << 2 | 1 << 3


def test_kinds_of_file_systems_that_the_caller_makes(tmp_path: Path) -> None:
    overlay = {"destination": "/x", "type": "overlay", "source": "over", "options": ["lowerdir=/a", "ro"]}
    found = read(tmp_path, mounts=[DEV, BIND, overlay])
    assert found.made == {1: MadeMount("overlay", "over")}
    assert found.config.mounts[2].type == "bind"
