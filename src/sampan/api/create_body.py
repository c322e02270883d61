"""The body of a create, brought to what the newest version means by it.

Members that the client's version did not have are dropped, defaults that changed since are written out, and what moved
elsewhere is moved. The wording of errors and warnings is Docker's.
"""

import msgspec

from sampan.api.versions import Version
from sampan.errors import InvalidParameter
from sampan.spec.containers import CreateRequest
from sampan.spec.host_config import HostConfig
from sampan.spec.mounts import BindOptions, Mount
from sampan.spec.networks import EndpointSettings, NetworkingConfig

Endpoints = dict[str, EndpointSettings]

_replace = msgspec.structs.replace

_MAC_DEPRECATED = (
    "The container-wide MacAddress field is now deprecated. It should be specified in EndpointsConfig instead."
)
_VOLUME_DRIVER_IGNORED = (
    "WARNING: the container-wide volume-driver configuration is ignored for volumes specified via 'mount'. "
    "Use '--mount type=volume,volume-driver=...' instead"
)


def for_version(request: CreateRequest, version: Version) -> tuple[CreateRequest, tuple[str, ...]]:
    """The request as the backend takes it, and what to warn of. Raises InvalidParameter."""
    warnings: list[str] = []
    host = request.host_config or HostConfig()
    given = (request.networking_config or NetworkingConfig()).endpoints_config or {}
    for name, end in given.items():
        if end is None:
            raise InvalidParameter(f"invalid config for network {name}: EndpointsConfig is nil")
    endpoints = {name: end for name, end in given.items() if end is not None}
    if host.network_mode in ("", "default"):
        host = _replace(host, network_mode="bridge")
        if "default" in endpoints:
            endpoints["bridge"] = endpoints.pop("default")
    host = _host_for(host, version)
    if host.mounts:
        host = _replace(host, mounts=tuple(_mount_for(mount, version) for mount in host.mounts))
    endpoints = _endpoints_for(endpoints, version)
    if _volume_driver_ignored(host, version):
        warnings.append(_VOLUME_DRIVER_IGNORED)
    if request.mac_address or version < (1, 44):
        endpoints = _with_mac(request.mac_address, host, endpoints, version)
        if request.mac_address and version >= (1, 44):
            warnings.append(_MAC_DEPRECATED)
            request = _replace(request, mac_address="")
    if request.healthcheck is not None and version < (1, 44):
        request = _replace(request, healthcheck=_replace(request.healthcheck, start_interval=0))
    networking = NetworkingConfig(endpoints_config=dict(endpoints))
    return _replace(request, host_config=host, networking_config=networking), tuple(warnings)


def _host_for(host: HostConfig, version: Version) -> HostConfig:
    changes: dict[str, object] = {}
    if version < (1, 25):
        changes["auto_remove"] = False
    if version < (1, 40):
        changes["kernel_memory_tcp"] = 0
        changes["ipc_mode"] = host.ipc_mode or "shareable"
    if version < (1, 42):
        changes["console_size"] = (0, 0)
    else:
        changes["kernel_memory"] = 0
    if version < (1, 43):
        changes["annotations"] = None
    if host.pids_limit is not None and host.pids_limit <= 0:
        changes["pids_limit"] = None
    return _replace(host, **changes)


def _mount_for(mount: Mount, version: Version) -> Mount:
    if version < (1, 42):
        # Such combinations were never checked before; they are dropped so that nothing later refuses them.
        if mount.type != "volume":
            mount = _replace(mount, volume_options=None)
        if mount.type != "tmpfs":
            mount = _replace(mount, tmpfs_options=None)
    else:
        for name, options, kind in (
            ("VolumeOptions", mount.volume_options, "volume"),
            ("BindOptions", mount.bind_options, "bind"),
            ("TmpfsOptions", mount.tmpfs_options, "tmpfs"),
        ):
            if options is not None and mount.type != kind:
                raise InvalidParameter(f'{name} must not be specified on mount type "{mount.type}"')
    if version < (1, 45) and mount.volume_options is not None and mount.volume_options.subpath:
        raise InvalidParameter("VolumeOptions.Subpath needs API v1.45 or newer")
    if version < (1, 48) and mount.type == "image":
        raise InvalidParameter('Mount type "Image" needs API v1.48 or newer')
    return _bind_for(mount, version) if mount.type == "bind" and version < (1, 44) else mount


def _bind_for(mount: Mount, version: Version) -> Mount:
    """Read-only mounts were not recursive before 1.44."""
    bind = mount.bind_options or BindOptions()
    if bind.read_only_force_recursive:
        raise InvalidParameter("BindOptions.ReadOnlyForceRecursive needs API v1.44 or newer")
    changes: dict[str, bool] = {"read_only_non_recursive": True} if mount.read_only else {}
    if version < (1, 42):
        changes["create_mountpoint"] = False
    if version < (1, 40):
        changes["non_recursive"] = False
    return _replace(mount, bind_options=_replace(bind, **changes))


def _endpoints_for(endpoints: Endpoints, version: Version) -> Endpoints:
    if version < (1, 44) and len(endpoints) > 1:
        raise InvalidParameter(f"Container cannot be created with multiple network endpoints: {', '.join(endpoints)}")
    if version < (1, 48):
        return {name: _replace(end, gw_priority=0) for name, end in endpoints.items()}
    return endpoints


def _volume_driver_ignored(host: HostConfig, version: Version) -> bool:
    if not host.volume_driver or version < (1, 48):
        return False
    return any(
        mount.type == "volume"
        and not (
            mount.volume_options and mount.volume_options.driver_config and mount.volume_options.driver_config.name
        )
        for mount in host.mounts or ()
    )


def _with_mac(mac: str, host: HostConfig, endpoints: Endpoints, version: Version) -> Endpoints:
    """The container-wide MAC address goes to the end point of the main network, where it is kept since 1.44."""
    if not mac:
        return {name: _replace(end, mac_address="") for name, end in endpoints.items()}
    mode = host.network_mode
    if mode in ("host", "none") or mode.startswith("container:"):
        if version < (1, 44):
            raise InvalidParameter("conflicting options: mac-address and the network mode")
        return endpoints
    name = next(iter(endpoints), mode) if version < (1, 44) or not endpoints else mode
    if endpoints and name not in endpoints:
        raise InvalidParameter(
            "unable to migrate container-wide MAC address to a specific network: "
            "HostConfig.NetworkMode must match the identity of a network in NetworkSettings.Networks"
        )
    end = endpoints.get(name, EndpointSettings())
    if version >= (1, 44) and end.mac_address not in ("", mac):
        raise InvalidParameter(
            "the container-wide MAC address must match the endpoint-specific MAC address for the main network, "
            "or be left empty"
        )
    return {**endpoints, name: _replace(end, mac_address=mac)}
