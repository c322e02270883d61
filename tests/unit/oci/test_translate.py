"""Bundles as data: what is understood, and what is refused by name."""

import json
from pathlib import Path
from typing import Any

import pytest

from sampan.errors import InvalidParameter, NotImplementedHere, SampanError
from sampan.oci.documents import read_bundle
from sampan.oci.translate import Arrangement, Host, arrangement
from sampan.spec import oci_runtime as oci

HOST = Host("x86_64", (6, 18), frozenset({"CAP_CHOWN", "CAP_KILL"}), v2=True)
ON_V1 = Host("x86_64", (6, 18), frozenset({"CAP_CHOWN", "CAP_KILL"}), v2=False)
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
        ({"process__cwd": "relative"}, InvalidParameter, "process.cwd"),
        ({"process__selinuxLabel": "a:b:c"}, NotImplementedHere, "selinuxLabel"),
        ({"process__rlimits": [{"type": "RLIMIT_X", "soft": 1, "hard": 1}]}, InvalidParameter, "RLIMIT_X"),
        ({"process__rlimits": [{"type": "RLIMIT_CPU", "soft": -1, "hard": 1}]}, InvalidParameter, "out of range"),
        ({"process__scheduler": {"policy": "SCHED_FIFO"}}, NotImplementedHere, "process.scheduler"),
        ({"hostname": "name"}, InvalidParameter, "UTS"),
        ({"hostname": "a\nb"}, InvalidParameter, "host or domain name"),
        ({"linux__namespaces": []}, NotImplementedHere, "mount namespace"),
        ({"linux__namespaces": [{"type": "mount"}, {"type": "user"}]}, NotImplementedHere, "user namespaces"),
        ({"linux__namespaces": [{"type": "mount"}, {"type": "moon"}]}, InvalidParameter, "moon"),
        ({"linux__namespaces": [{"type": "mount"}, {"type": "mount"}]}, InvalidParameter, "twice"),
        ({"linux__namespaces": [{"type": "mount"}, {"type": "pid", "path": "x"}]}, InvalidParameter, "not absolute"),
        ({"linux__sysctl": {"kernel.core_pattern": "|/bin/sh"}}, InvalidParameter, "kernel.core_pattern"),
        ({"linux__sysctl": {"net.ipv4.ip_forward": "1"}}, InvalidParameter, "host network namespace"),
        ({"linux__maskedPaths": ["proc/kcore"]}, InvalidParameter, "not absolute"),
        ({"linux__intelRdt": {"closID": "x"}}, NotImplementedHere, "intelRdt"),
        ({"linux__personality": {"domain": "LINUX32"}}, NotImplementedHere, "personality"),
        ({"linux__rootfsPropagation": "sideways"}, InvalidParameter, "sideways"),
        ({"linux__devices": [{"path": "dev/x", "type": "c"}]}, InvalidParameter, "device"),
        ({"linux__resources__cpu": {"burst": 5}}, NotImplementedHere, "burst"),
        ({"linux__resources__devices": [{"allow": True, "type": "x"}]}, InvalidParameter, "rule"),
        ({"linux__resources__hugepageLimits": [{"pageSize": "../x", "limit": 1}]}, InvalidParameter, "page size"),
        ({"linux__seccomp": {"defaultAction": "SCMP_ACT_NOTIFY"}}, NotImplementedHere, "NOTIFY"),
        ({"mounts": []}, NotImplementedHere, "/dev"),
        ({"mounts": [DEV, {"destination": "/x", "type": "proc"}]}, NotImplementedHere, "type 'proc' on /x"),
        ({"mounts": [DEV, {"destination": "/x", "type": "tmpfs", "options": ["odd"]}]}, NotImplementedHere, "odd"),
        ({"mounts": [DEV, {"destination": "/x", "options": ["bind", "idmap"]}]}, NotImplementedHere, "idmap"),
        ({"mounts": [DEV, {"destination": "", "type": "tmpfs"}]}, InvalidParameter, "destination"),
        ({"hooks__startContainer": [{"path": "/x"}]}, NotImplementedHere, "startContainer"),
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
        "pids": {"limit": 0},
    }
    v2 = read(tmp_path, linux__resources=resources).config.linux.resources
    v1 = read(tmp_path, ON_V1, linux__resources=resources).config.linux.resources
    assert v2.unified == {"hugetlb.2MB.max": "4096", "rdma.max": "mlx5_1 hca_handle=3"}
    assert v1.unified == {"hugetlb.2MB.limit_in_bytes": "4096", "rdma.max": "mlx5_1 hca_handle=3"}
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
