"""Inspect: everything about one container, from memory."""

import os

import msgspec

from sampan.daemon import oci, verify
from sampan.daemon.container import Container
from sampan.daemon.engine import Engine
from sampan.daemon.mount_words import MountPoint as Kept
from sampan.daemon.states import Status
from sampan.daemon.times import rfc3339
from sampan.errors import NotFound
from sampan.runtime import profile_options
from sampan.spec.containers import ContainerInspect, DriverData, NetworkSettings, State
from sampan.spec.host_config import HostConfig
from sampan.spec.mounts import MountPoint
from sampan.spec.networks import EndpointSettings
from sampan.spec.rootfs import HOST_HIDDEN, HOST_ROOT, OverlayRoot


async def inspect(engine: Engine, reference: str, *, size: bool) -> ContainerInspect:
    """One container; with `size` the bytes it takes, found by walking its layer. Raises NotFound."""
    container = engine.find(reference)
    definition = container.definition
    used = total = None
    if size:
        used = await engine.layers.usage(container.id)
        total = used + (engine.layers.size(definition.image_id) if definition.image_id else 0)
    directory = engine.directory(container.id)
    own_files = definition.host.network_mode == "none" or not verify.joins(definition.host.network_mode)
    owner = directory if own_files else _donors_directory(engine, container)
    started = container.state.started_ns > 0
    return ContainerInspect(
        id=container.id,
        created=rfc3339(definition.created_ns),
        path=definition.path,
        args=definition.args,
        state=state_of(container),
        image=definition.image_id or "",
        resolv_conf_path=f"{owner}/resolv.conf" if started else "",
        hostname_path=f"{owner}/hostname" if started else "",
        hosts_path=f"{owner}/hosts" if started else "",
        log_path=f"{directory}/{container.id}-json.log" if started and _is_json_file(container) else "",
        name=f"/{container.name}",
        restart_count=container.state.restarts,
        driver=definition.driver,
        platform=definition.platform,
        app_armor_profile=_apparmor(engine, container),
        exec_ids=engine.execs.of(container.id) or None,
        host_config=_host_config(engine, container),
        graph_driver=_graph_driver(engine, container),
        size_rw=used,
        size_root_fs=total,
        mounts=mount_points(engine, definition.mounts),
        config=definition.config,
        network_settings=network_settings(engine, container),
    )


def _host_config(engine: Engine, container: Container) -> HostConfig:
    host = container.definition.host
    if not container.definition.links:
        return host
    return msgspec.structs.replace(host, links=engine.linked.shown(container))


def _donors_directory(engine: Engine, container: Container) -> str:
    try:
        donor = engine.find(verify.joins(container.definition.host.network_mode))
    except NotFound:
        return engine.directory(container.id)
    return engine.directory(donor.id)


def _is_json_file(container: Container) -> bool:
    """Docker names the place of no other log."""
    return container.definition.host.log_config.type == "json-file"


def _apparmor(engine: Engine, container: Container) -> str:
    host = container.definition.host
    options = profile_options.parse(host.security_opt or ())
    if not engine.around.apparmor:
        return ""
    entered = oci.apparmor_profile(options, engine.around, privileged=host.privileged)
    return entered or profile_options.UNCONFINED


def state_of(container: Container) -> State:
    """A container's state with Docker's flags."""
    state = container.state
    status = Status.REMOVING if container.removing and not state.running else state.status
    return State(
        status=status,
        running=state.running,
        paused=state.status is Status.PAUSED,
        restarting=state.status is Status.RESTARTING,
        oom_killed=state.oom_killed,
        dead=state.status is Status.DEAD,
        pid=state.pid,
        exit_code=state.exit_code,
        error=state.error,
        started_at=rfc3339(state.started_ns),
        finished_at=rfc3339(state.finished_ns),
        health=container.health,
        exit_cause=state.cause,
    )


def mount_points(engine: Engine, mounts: tuple[Kept, ...]) -> tuple[MountPoint, ...]:
    """The mounts as inspect and list show them."""
    return tuple(
        MountPoint(
            type=point.type,
            name=point.name if point.type in ("volume", "image") else "",
            source=_volume_directory(engine, point.name) if point.type == "volume" else point.source,
            destination=point.destination,
            driver=point.driver,
            mode=point.mode,
            rw=point.rw,
            propagation=point.propagation,
        )
        for point in mounts
        if point.listed
    )


def _volume_directory(engine: Engine, name: str) -> str:
    try:
        return engine.volumes.get(name).mountpoint
    except NotFound:
        return ""


def _graph_driver(engine: Engine, container: Container) -> DriverData:
    try:
        root = engine.layers.mount_of(container.id)
    except NotFound:
        return DriverData(name=container.definition.driver)
    if container.definition.driver == "btrfs":
        return DriverData(name="btrfs")
    if not isinstance(root, OverlayRoot):
        return DriverData(name=container.definition.driver, data={"RootDir": root.path})
    return DriverData(
        name=container.definition.driver,
        data={
            "ID": container.id,
            "LowerDir": ":".join(_on_host(engine, lower) for lower in root.lowers),
            "MergedDir": engine.looks.place(container),
            "UpperDir": root.upper,
            "WorkDir": root.work,
        },
    )


def _on_host(engine: Engine, lower: str) -> str:
    """The directories of the image `host` stand in the launcher's mount namespace alone."""
    if lower == HOST_ROOT:
        return "/"
    if lower.startswith(HOST_HIDDEN):
        return f"/proc/{engine.runtime.launcher_pid}/root{lower}"
    return lower


def network_settings(engine: Engine, container: Container) -> NetworkSettings:
    """Where a container stands in its networks; while it does not run, which ones it was made for."""
    definition = container.definition
    connected = engine.wiring.connected(container.id)
    if connected is None:
        mode = definition.host.network_mode
        if verify.joins(mode) or definition.config.network_disabled:
            return NetworkSettings()
        return NetworkSettings(networks=engine.wiring.planned(definition))
    bridge = connected.settings.get("bridge", EndpointSettings())
    return NetworkSettings(
        sandbox_id=container.id,
        sandbox_key=f"/proc/{container.state.pid}/ns/net" if container.state.pid else "",
        ports=connected.ports,
        endpoint_id=bridge.endpoint_id,
        gateway=bridge.gateway,
        ip_address=bridge.ip_address,
        ip_prefix_len=bridge.ip_prefix_len,
        ipv6_gateway=bridge.ipv6_gateway,
        global_ipv6_address=bridge.global_ipv6_address,
        global_ipv6_prefix_len=bridge.global_ipv6_prefix_len,
        mac_address=bridge.mac_address,
        networks=dict(connected.settings),
    )


def nodename() -> str:
    """The host's own name."""
    return os.uname().nodename
