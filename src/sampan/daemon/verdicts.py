"""What becomes of each member of a create request: honoured, honoured in part, or refused by name. Data only.

docs/docker-compatibility.md is made of it (`tests/api/compatibility.py`). It cannot lie for long: a unit test fails where the
schema has a member without a verdict, and `tests/api/test_verdicts.py` sends every refused example to a daemon. Whoever makes
a member work changes its verdict with it.
"""

from dataclasses import dataclass
from enum import StrEnum


class Measure(StrEnum):
    """How much of a member is honoured."""

    FULL = "full"
    PARTIAL = "partial"
    NOT = "not"


@dataclass(frozen=True, slots=True)
class Refused:
    """A value that is refused, and words of the refusal. `beside` is what else the request needs to be one."""

    value: object
    words: str
    beside: tuple[tuple[str, object], ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a member. `note` says how it is honoured, what is missing, or why it is refused."""

    measure: Measure
    note: str = ""
    refused: tuple[Refused, ...] = ()


def _full(note: str = "") -> Verdict:
    return Verdict(Measure.FULL, note)


def _partial(note: str, *refused: Refused) -> Verdict:
    return Verdict(Measure.PARTIAL, note, refused)


def _not(note: str, *refused: Refused) -> Verdict:
    return Verdict(Measure.NOT, note, refused)


_BLOCK = "of a whole disk, whose path is looked up at each start"
_KEPT = "kept and shown; nothing on Linux reads it, as in Docker"
_LATER = "is not implemented yet"

CONFIG: dict[str, Verdict] = {
    "ArgsEscaped": _full(_KEPT),
    "AttachStderr": _full("kept and shown; the attach itself is a request of its own"),
    "AttachStdin": _full("as AttachStderr"),
    "AttachStdout": _full("as AttachStderr"),
    "Cmd": _full("a list of words, or one word"),
    "Domainname": _full(),
    "Entrypoint": _full("a list of words, or one word"),
    "Env": _full(),
    "ExposedPorts": _full("published by PublishAllPorts"),
    "Healthcheck": _full(),
    "Hostname": _full(),
    "Image": _full("by name, digest or id; `host` is this machine's own file system"),
    "Labels": _full(),
    "MacAddress": _full("of the main network, as API versions before 1.44 had it"),
    "NetworkDisabled": _full(),
    "OnBuild": _full(_KEPT),
    "OpenStdin": _full(),
    "Shell": _full("kept and shown; image builds read it"),
    "StdinOnce": _full(),
    "StopSignal": _full(),
    "StopTimeout": _full(),
    "Tty": _full(),
    "User": _full("name or number, group too; looked up in the container's own files"),
    "Volumes": _full("an anonymous volume each"),
    "WorkingDir": _full("made where it is missing"),
}

HOST_CONFIG: dict[str, Verdict] = {
    "Annotations": _full(
        "kept and shown; sampan.cgroup-conf.FILE sets a control file, as `sampan run --cgroup-conf` does"
    ),
    "AutoRemove": _full(),
    "Binds": _full("directories and volumes, with their modes; SELinux labels (z, Z) mean nothing without SELinux"),
    "BlkioDeviceReadBps": _full(_BLOCK),
    "BlkioDeviceReadIOps": _full(_BLOCK),
    "BlkioDeviceWriteBps": _full(_BLOCK),
    "BlkioDeviceWriteIOps": _full(_BLOCK),
    "BlkioWeight": _full("where the kernel has BFQ's weights; else taken off with a warning, as in Docker"),
    "BlkioWeightDevice": _full("as BlkioWeight; the kernel refuses a device without the scheduler BFQ"),
    "CapAdd": _full(),
    "CapDrop": _full(),
    "Cgroup": _not(
        "another container's control group; Docker keeps it and does nothing",
        Refused("container:x", f"HostConfig.Cgroup {_LATER}"),
    ),
    "CgroupParent": _full("the instance's group stands between it and the container's"),
    "CgroupnsMode": _full("private, host"),
    "ConsoleSize": _full(),
    "ContainerIDFile": _full("kept and shown; the command writes the file"),
    "CpuCount": _not("Windows only, refused in Docker's words", Refused(1, "CPU count is not supported on linux")),
    "CpuPercent": _full("Windows only: taken off with a warning, as in Docker"),
    "CpuPeriod": _full(),
    "CpuQuota": _full(),
    "CpuRealtimePeriod": _full("where the kernel schedules groups in real time; else refused in Docker's words"),
    "CpuRealtimeRuntime": _full("as CpuRealtimePeriod"),
    "CpuShares": _full("cpu.shares, or cpu.weight on runc's curve"),
    "CpusetCpus": _full(),
    "CpusetMems": _full(),
    "DeviceCgroupRules": _full(),
    "DeviceRequests": _full(
        "CDI devices, from specifications in JSON; GPUs are refused at the start, as by Docker without a driver"
    ),
    "Devices": _full("a device, or a directory of them"),
    "Dns": _full(),
    "DnsOptions": _full(),
    "DnsSearch": _full(),
    "ExtraHosts": _full("host-gateway included"),
    "GroupAdd": _full("names of the container's own groups, or numbers"),
    "IOMaximumBandwidth": _not("Windows only, refused in Docker's words", Refused(1, "QoS maximum bandwidth")),
    "IOMaximumIOps": _not("Windows only, refused in Docker's words", Refused(1, "QoS maximum IOPs")),
    "Init": _full("a reaper of the engine's own as pid 1"),
    "IpcMode": _full("none, private, shareable, host, container:NAME"),
    "Isolation": _full("default is all that there is on Linux"),
    "KernelMemory": _full("gone since API 1.42; before, taken off with a warning, as in Docker"),
    "KernelMemoryTCP": _full("on control groups v1; v2 has none: taken off with a warning. Docker's runc ignores it"),
    "Links": _full("on the default bridge; ignored elsewhere, refused with the host's or another container's network"),
    "LogConfig": _partial(
        "json-file, local, none, syslog, fluentd, gelf, journald, plugins'; json-file is bounded by default",
        Refused({"Type": "splunk"}, "logger: no log driver named 'splunk' is registered"),
    ),
    "MaskedPaths": _full(),
    "Memory": _full(),
    "MemoryReservation": _full(),
    "MemorySwap": _full(),
    "MemorySwappiness": _full("on control groups v1; v2 has none: taken off with a warning, as in Docker"),
    "Mounts": _full("binds, volumes, images and tmpfs (see below)"),
    "NanoCpus": _full(),
    "NetworkMode": _full("bridge, host, none, container:NAME, and networks of one's own by name or id"),
    "OomKillDisable": _full("on control groups v1; v2 has none: taken off with a warning, as in Docker"),
    "OomScoreAdj": _full(),
    "PidMode": _full("host, container:NAME"),
    "PidsLimit": _full(),
    "PortBindings": _full("SCTP where the kernel has it, and not from one address family to the other"),
    "Privileged": _full(),
    "PublishAllPorts": _full(),
    "ReadonlyPaths": _full(),
    "ReadonlyRootfs": _full(),
    "RestartPolicy": _full(),
    "Runtime": _full("Sampan's own by every name that Docker has for its default, or one of the daemon's `runtimes`"),
    "SecurityOpt": _partial(
        "seccomp, AppArmor, no-new-privileges, writable-cgroups, Sampan's own sampan=hardened; SELinux where it is switched off",
        Refused(["label=level:s0"], "sampan does not write SELinux labels"),
    ),
    "ShmSize": _full(),
    "StorageOpt": _partial(
        "size, where the data root's file system counts project quotas (ext4, xfs); refused as by Docker where it does not",
        Refused({"size": "1g"}, "--storage-opt is supported only for overlay over xfs with 'pquota' mount option"),
    ),
    "Sysctls": _full("those of the container's own namespaces"),
    "Tmpfs": _full(),
    "UTSMode": _full("host"),
    "Ulimits": _full(),
    "UsernsMode": _full(
        "host; also Podman's auto, keep-id and nomap, and private with maps, by the annotation sampan.userns too: "
        "docs/user-namespaces.md"
    ),
    "VolumeDriver": _partial(
        "local, and plugins; one that nobody has is refused with the first volume that needs it",
        Refused("nfs", 'plugin "nfs" not found', (("Binds", ["v:/x"]),)),
    ),
    "VolumesFrom": _full(),
}

ENDPOINT: dict[str, Verdict] = {
    "Aliases": _partial(
        "in networks of one's own",
        Refused(["x"], "network-scoped alias is supported only for containers in user defined networks"),
    ),
    "DNSNames": _full("the daemon's to say"),
    "DriverOpts": _full("ifname, sysctls and dnsservers count; the rest is kept and shown, as in Docker"),
    "EndpointID": _full("the daemon's to say"),
    "Gateway": _full("the daemon's to say"),
    "GlobalIPv6Address": _full("the daemon's to say"),
    "GlobalIPv6PrefixLen": _full("the daemon's to say"),
    "GwPriority": _full(),
    "IPAMConfig": _partial(
        "addresses in networks of one's own whose subnet was chosen; LinkLocalIPs everywhere",
        Refused({"IPv4Address": "172.17.0.9"}, "user specified IP address is supported on user defined networks only"),
    ),
    "IPAddress": _full("the daemon's to say"),
    "IPPrefixLen": _full("the daemon's to say"),
    "IPv6Gateway": _full("the daemon's to say"),
    "Links": _partial(
        "in networks of one's own", Refused(["x:y"], "links are only supported for user-defined networks")
    ),
    "MacAddress": _full(),
    "NetworkID": _full("the daemon's to say"),
}

MOUNT: dict[str, Verdict] = {
    "BindOptions.CreateMountpoint": _full(),
    "BindOptions.NonRecursive": _full(),
    "BindOptions.Propagation": _full(),
    "BindOptions.ReadOnlyForceRecursive": _full(),
    "BindOptions.ReadOnlyNonRecursive": _full(),
    "Consistency": _full("kept; nothing on Linux reads it, as in Docker"),
    "ImageOptions.Subpath": _full("links in the image lead nowhere outside it"),
    "ReadOnly": _full(),
    "Source": _full(),
    "Target": _full(),
    "TmpfsOptions.Mode": _full(),
    "TmpfsOptions.Options": _full("exec, noexec, as in Docker"),
    "TmpfsOptions.SizeBytes": _full(),
    "Type": _partial(
        "bind, volume, image, tmpfs; cluster volumes and npipe are swarm's and Windows'",
        Refused("cluster", 'invalid mount config for type "cluster": mount type unknown', (("Source", "x"),)),
    ),
    "VolumeOptions.DriverConfig": _partial(
        "local, and plugins", Refused({"Name": "nfs"}, "nfs", (("Type", "volume"), ("Source", "v")))
    ),
    "VolumeOptions.Labels": _full(),
    "VolumeOptions.NoCopy": _full(),
    "VolumeOptions.Subpath": _full("links in the volume lead nowhere outside it; looked up at each start"),
}
