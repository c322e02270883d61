"""From a plugin's configuration and settings to the bundle that `sampan-oci` runs: the runtime specification's config.json.

What Docker gives a plugin: its usual capabilities and those that it asked for, its usual file systems, the host's network only
where it was granted. No seccomp profile, as in Docker: what a plugin may do is what was granted when it was installed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from sampan.errors import InvalidParameter, System
from sampan.managed.catalog import Record
from sampan.managed.configuration import METRICS, SOCKETS
from sampan.oci.words import SPECIFICATION
from sampan.runtime import oci_document, profile_capabilities, profile_devices, profile_files
from sampan.spec import oci_runtime as oci

_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_NAMESPACES = ("mount", "uts", "cgroup")
OF_THE_HOST = ("/etc/hosts", "/etc/resolv.conf")
"""What a plugin with a network reads of the host, where the host has it."""
_NETWORKS = ("", "null", "none", "bridge", "host")

_Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Places:
    """Where the host keeps what one plugin needs: `propagated` "" where it shows no mounts, `metrics` "" where it collects none.

    `of_host`: those of `OF_THE_HOST` that there are.
    """

    rootfs: str
    sockets: str
    propagated: str
    cgroup: str
    thermal: Sequence[str] = ()
    metrics: str = ""
    of_host: Sequence[str] = OF_THE_HOST


def document(record: Record, places: Places) -> bytes:
    """config.json. Raises System in Docker's words for what is not set yet, InvalidParameter for devices that are none."""
    config = record.config
    if config.network.type not in _NETWORKS:
        raise InvalidParameter(f"the plugin's network type {config.network.type[:40]!r} is not host, bridge or none")
    nodes, rules = _devices(record)
    namespaces = [
        *_NAMESPACES,
        *(["network"] if config.network.type != "host" else []),
        *(["pid"] if not config.pid_host else []),
        *(["ipc"] if not config.ipc_host else []),
    ]
    bundle: _Json = {
        "ociVersion": SPECIFICATION,
        "root": {"path": places.rootfs},
        "process": _process(record),
        "mounts": sorted(_mounts(record, places), key=lambda mount: str(mount["destination"]).count("/")),
        "linux": {
            "namespaces": [{"type": kind} for kind in namespaces],
            "devices": nodes,
            "resources": {"devices": rules},
            "cgroupsPath": places.cgroup,
            "maskedPaths": list(profile_files.masked_paths(None, False, tuple(places.thermal))),
            "readonlyPaths": list(profile_files.READ_ONLY),
        },
    }
    return msgspec.json.encode(bundle)


def _process(record: Record) -> _Json:
    config, settings = record.config, record.settings
    asked = profile_capabilities.normalise(config.linux.capabilities or (), profile_capabilities.KNOWN)
    held = list(dict.fromkeys((*profile_capabilities.DEFAULT, *_each(asked))))
    return {
        "args": [*(config.entrypoint or ()), *settings.args],
        "env": [_PATH, *settings.env],
        "cwd": config.work_dir or "/",
        "user": {"uid": config.user.uid, "gid": config.user.gid},
        "capabilities": dict.fromkeys(("bounding", "effective", "permitted", "inheritable"), held),
    }


def _each(names: Iterable[str]) -> tuple[str, ...]:
    wanted = tuple(names)
    return profile_capabilities.KNOWN if profile_capabilities.ALL in wanted else wanted


def _devices(record: Record) -> tuple[list[_Json], list[_Json]]:
    """The nodes, and the rules of the device controller."""
    nodes: list[oci.Device] = []
    extra: list[oci.DeviceRule] = []
    for device in record.settings.devices:
        if not device.path:
            raise System(f"the device {device.name!r} of plugin {record.name} has no path: set {device.name}.path")
        found, allowed = profile_devices.from_path(device.path, device.path, "rwm")
        nodes += found
        extra += allowed
    rules = profile_devices.rules(record.config.linux.allow_all_devices, extra)
    return [oci_document.device_node(one) for one in nodes], [oci_document.device_rule(one) for one in rules]


def _mounts(record: Record, places: Places) -> list[_Json]:
    config = record.config
    own: list[_Json] = [_bind(places.sockets, SOCKETS, "rbind", "rw")]
    if places.propagated:
        own.append(_bind(places.propagated, config.propagated_mount, "rbind", "rw", "rshared"))
    if places.metrics:
        own.append(_bind(places.metrics, METRICS, "rbind", "ro"))
    if config.network.type:
        own += [_bind(path, path, "rbind", "ro") for path in places.of_host]
    for mount in record.settings.mounts:
        if mount.source is None:
            raise System("mount source is not specified")
        own.append(
            {
                "destination": mount.destination,
                "type": mount.type,
                "source": mount.source,
                "options": list(mount.options or ()),
            }
        )
    taken = {str(mount["destination"]).rstrip("/") for mount in own}
    usual = [
        {
            "destination": mount.destination,
            "type": mount.type,
            "source": str(mount.source),
            "options": list(mount.options),
        }
        for mount in profile_files.mounts()
        if mount.destination == "/dev" or mount.destination not in taken
    ]
    return [*usual, *own]


def _bind(source: str, destination: str, *options: str) -> _Json:
    return {"destination": destination, "type": "bind", "source": source, "options": list(options)}
