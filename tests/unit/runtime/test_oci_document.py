"""The document that other runtimes read: read back by the room `oci`, it is the configuration that it was made from."""

import json
from typing import Any

import msgspec
import pytest

from sampan.oci import documents, translate
from sampan.runtime import oci_document, profile_files
from sampan.spec import oci_runtime as oci

KERNEL = translate.Host("x86_64", (6, 1), frozenset(("CAP_CHOWN", "CAP_KILL")), False)
PLAIN = oci.Config(
    process=oci.Process(
        args=("sh", "-c", "true"),
        env=("A=b",),
        cwd="/srv",
        user=oci.User("app", ("audio",)),
        terminal=True,
        console_size=oci.ConsoleSize(height=24, width=80),
        capabilities=oci.Capabilities(bounding=("CAP_CHOWN",), effective=("CAP_CHOWN",), permitted=("CAP_CHOWN",)),
        rlimits=(oci.Rlimit("RLIMIT_NOFILE", 100, -1),),
        no_new_privileges=True,
        oom_score_adj=5,
        apparmor_profile="strict",
    ),
    hostname="named",
    domainname="dom.example",
    root=oci.Root(readonly=True),
    mounts=(
        *profile_files.mounts(),
        oci.Mount("/data", "bind", "/srv/volume", ("rbind", "ro", "rro", "rslave", "idmap-if-can")),
        oci.Mount("/t", "tmpfs", "tmpfs", ("size=1m",)),
    ),
    linux=oci.Linux(
        namespaces=(
            oci.Namespace("mount"),
            oci.Namespace("network"),
            oci.Namespace("pid", "/proc/7/ns/pid"),
            oci.Namespace("uts"),
            oci.Namespace("ipc"),
        ),
        devices=(oci.Device("/dev/fuse", "c", 10, 229, 0o600, 1, 2),),
        cgroups_path="docker/x",
        resources=oci.Resources(
            devices=(
                oci.DeviceRule(allow=False),
                oci.DeviceRule(allow=True, type="c", major=10, minor=229, access="rw"),
            ),
            memory=oci.Memory(limit=1 << 26, swap=-1, reservation=1 << 25, swappiness=3),
            cpu=oci.Cpu(shares=512, quota=5000, period=10000, cpus="0-1"),
            pids_limit=9,
            blkio_weight=300,
            block_limits=(oci.BlockLimit("read_bps", 8, 0, 1 << 20), oci.BlockLimit("weight", 8, 16, 200)),
        ),
        sysctl={"net.ipv4.ip_default_ttl": "77", "kernel.msgmax": "9000"},
        seccomp=oci.Seccomp(
            default_action="SCMP_ACT_ERRNO",
            default_errno_ret=1,
            architectures=("SCMP_ARCH_X86_64",),
            syscalls=(
                oci.SeccompRule(("clone",), "SCMP_ACT_ALLOW", args=(oci.SeccompArg(0, 1, 0, "SCMP_CMP_MASKED_EQ"),)),
            ),
        ),
        masked_paths=("/proc/kcore",),
        readonly_paths=("/proc/sys",),
    ),
    hooks=oci.Hooks(poststop=(oci.Hook("/bin/true", ("true",), ("K=v",), 3),)),
)
GROUPS = {"memory": "/sys/fs/cgroup/memory/docker/x", "cpu": "/sys/fs/cgroup/cpu/docker/x"}


def written(config: oci.Config = PLAIN) -> dict[str, Any]:
    document: dict[str, Any] = oci_document.document(config, "/run/aside/root", ["/run/aside/0"], GROUPS, "/docker/x")
    return document


def test_it_is_the_reverse_of_reading() -> None:
    document = written()
    # What the driver fills in, and what sampan-oci has another word for.
    document["process"]["user"] = {"uid": 5, "gid": 6, "additionalGids": [6, 29]}
    document["process"].pop("apparmorProfile")
    document["linux"]["namespaces"][2]["path"] = "/proc/7/ns/pid"
    bundle = msgspec.json.decode(json.dumps(document).encode(), type=documents.Bundle)
    read = translate.arrangement(bundle, "/bundle", KERNEL)
    config, linux = read.config, read.config.linux
    assert read.rootfs == "/run/aside/root"
    assert config.process == msgspec.structs.replace(
        PLAIN.process, user=oci.User("5:6", ("6", "29")), apparmor_profile=""
    )
    assert (config.hostname, config.root) == ("named", PLAIN.root)
    assert [mount.destination for mount in config.mounts] == [mount.destination for mount in PLAIN.mounts]
    assert config.mounts[-2] == oci.Mount("/data", "bind", "/run/aside/0", ("rbind", "ro", "rslave"))
    assert linux.namespaces == PLAIN.linux.namespaces
    assert linux.devices == PLAIN.linux.devices
    assert linux.sysctl == {"kernel.msgmax": "9000", "kernel.domainname": "dom.example"}
    assert linux.seccomp == PLAIN.linux.seccomp
    assert (linux.masked_paths, linux.readonly_paths) == (PLAIN.linux.masked_paths, PLAIN.linux.readonly_paths)
    assert linux.cgroups_path == "/docker/x"
    wanted = PLAIN.linux.resources
    assert linux.resources.memory == wanted.memory
    assert (linux.resources.cpu, linux.resources.pids_limit) == (wanted.cpu, 9)
    assert set(linux.resources.block_limits) == set(wanted.block_limits)
    assert read.hooks.poststop[0].path == "/bin/true"
    assert read.propagation == "rslave"


def test_parameters_of_a_new_network_are_for_who_makes_it() -> None:
    assert oci_document.parameters(PLAIN)["net.ipv4.ip_default_ttl"] == "77"
    hosts = msgspec.structs.replace(
        PLAIN, linux=msgspec.structs.replace(PLAIN.linux, namespaces=(oci.Namespace("mount"),))
    )
    assert oci_document.parameters(hosts) == {}
    assert written(hosts)["linux"]["sysctl"]["net.ipv4.ip_default_ttl"] == "77"


@pytest.mark.parametrize(
    ("word", "propagation"), [("rshared", "rshared"), ("slave", "rslave"), ("rprivate", "rprivate"), ("ro", "rprivate")]
)
def test_the_root_lets_a_bind_be_what_it_is_to_be(word: str, propagation: str) -> None:
    config = msgspec.structs.replace(PLAIN, mounts=(oci.Mount("/d", "bind", "/s", (word,)),))
    assert written(config)["linux"]["rootfsPropagation"] == propagation


def test_on_v2_what_it_does_not_have_is_left_out() -> None:
    asked = oci.Resources(
        memory=oci.Memory(limit=5, swappiness=3, disable_oom_killer=True), kernel_tcp=7, unified={"cpu.idle": "1"}
    )
    on_v1, on_v2 = (oci_document.resources(asked, v2=v2) for v2 in (False, True))
    assert on_v1["memory"] == {"limit": 5, "swappiness": 3, "disableOOMKiller": True, "kernelTCP": 7}
    assert "unified" not in on_v1
    assert on_v2 == {"devices": [], "memory": {"limit": 5}, "unified": {"cpu.idle": "1"}}
