"""Devices that are asked of a driver (`--gpus`, CDI names): carried into a container's configuration, or refused as Docker does."""

import os
import posixpath
from collections.abc import Sequence

import msgspec

from sampan.daemon import cdi
from sampan.daemon.environment import replaced
from sampan.errors import InvalidParameter, NotImplementedHere
from sampan.runtime import profile_devices
from sampan.spec import oci_runtime as oci
from sampan.spec.cdi import BindMount, ContainerEdits, DeviceNode, Hook
from sampan.spec.host_config import DeviceRequest

_POINTS = {
    "prestart": "prestart",
    "createRuntime": "create_runtime",
    "createContainer": "create_container",
    "startContainer": "start_container",
    "poststart": "poststart",
    "poststop": "poststop",
}
"""Moments of hooks by the CDI specification's names."""


def applied(
    config: oci.Config, requests: Sequence[DeviceRequest], directories: Sequence[str], *, borrows: bool = False
) -> oci.Config:
    """`config` with the devices of the requests. `directories` hold CDI specifications.

    `borrows`: device nodes are the machine's own, shown by a mount, because none can be made (rootless).

    Raises InvalidParameter in Docker's words where no driver has them, NotImplementedHere for what is not there.
    """
    for request in requests:
        if request.driver != "cdi":
            sets = " ".join(f"[{' '.join(names)}]" for names in request.capabilities or ())
            raise InvalidParameter(f'could not select device driver "{request.driver}" with capabilities: [{sets}]')
        if request.count:
            raise InvalidParameter("unexpected count in CDI device request")
        if request.options:
            raise InvalidParameter("unexpected options in CDI device request")
        for edits in cdi.edits(request.device_ids or (), directories):
            config = _borrowed(config, edits) if borrows else config
            config = _edited(config, edits, () if borrows else edits.device_nodes)
    return config


def _borrowed(config: oci.Config, edits: ContainerEdits) -> oci.Config:
    mounts = []
    for node in edits.device_nodes:
        _check_absolute(node.path)
        mounts.append(oci.Mount(node.path, "bind", node.host_path or node.path, ("rbind", "rprivate")))
    return msgspec.structs.replace(config, mounts=(*config.mounts, *mounts))


def _edited(config: oci.Config, edits: ContainerEdits, made: Sequence[DeviceNode]) -> oci.Config:
    nodes = [_node(node) for node in made]
    paths = {device.path for device, _ in nodes}
    process, linux, resources = config.process, config.linux, config.linux.resources
    groups = (*process.user.additional_groups, *(str(gid) for gid in edits.additional_gids))
    replace = msgspec.structs.replace
    return replace(
        config,
        process=replace(
            process,
            env=replaced(list(process.env), edits.env),
            user=replace(process.user, additional_groups=groups),
        ),
        mounts=(*config.mounts, *(_mount(mount) for mount in edits.mounts)),
        hooks=_with_hooks(config.hooks, edits.hooks),
        linux=replace(
            linux,
            devices=(
                *(device for device in linux.devices if device.path not in paths),
                *(device for device, _ in nodes),
            ),
            resources=replace(resources, devices=(*resources.devices, *(rule for _, rule in nodes))),
        ),
    )


def _with_hooks(standing: oci.Hooks, more: Sequence[Hook]) -> oci.Hooks:
    found = {point: getattr(standing, point) for point in _POINTS.values()}
    for hook in more:
        point = _POINTS.get(hook.hook_name)
        if point is None:
            raise InvalidParameter(f"CDI device injection failed: invalid hook name {hook.hook_name[:40]!r}")
        if not hook.path.startswith("/") or hook.timeout < 0:
            raise InvalidParameter(f"CDI device injection failed: invalid hook {hook.path[:80]!r}")
        found[point] = (*found[point], oci.Hook(hook.path, hook.args, hook.env, hook.timeout))
    return oci.Hooks(**found)


def _node(node: DeviceNode) -> tuple[oci.Device, oci.DeviceRule]:
    _check_absolute(node.path)
    source = node.host_path or node.path
    kind, major, minor = node.type.replace("u", "c"), node.major, node.minor
    if not kind or (kind != "p" and not major and not minor):
        found, _ = profile_devices.from_path(source, node.path, "rwm")
        if len(found) != 1:
            raise InvalidParameter(f"CDI device injection failed: {source} is no device node")
        kind, major, minor = kind or found[0].type, found[0].major, found[0].minor
    access = node.permissions or "rwm"
    device = oci.Device(
        path=node.path,
        type=kind,
        major=major,
        minor=minor,
        file_mode=0o666 if node.file_mode is None else node.file_mode & 0o7777,
        uid=node.uid or 0,
        gid=node.gid or 0,
    )
    return device, oci.DeviceRule(allow=True, type=kind, major=major, minor=minor, access=access)


def _mount(mount: BindMount) -> oci.Mount:
    _check_absolute(mount.container_path)
    if mount.type not in ("", "bind", "none"):
        raise NotImplementedHere(f"CDI mounts of type {mount.type} are not implemented yet")
    if not os.path.isabs(mount.host_path):
        raise InvalidParameter(f"CDI device injection failed: {mount.host_path} is no absolute path")
    words = ("ro", "rw", "nosuid", "nodev", "noexec", "rbind", "bind", "rprivate", "private", "rslave", "slave")
    options = tuple(word for word in mount.options if word in words)
    return oci.Mount(mount.container_path, "bind", mount.host_path, options or ("rbind", "rprivate"))


def _check_absolute(path: str) -> None:
    if not path.startswith("/") or posixpath.normpath(path) in ("/", "//"):
        raise InvalidParameter(f"CDI device injection failed: {path} is no absolute path in a container")
