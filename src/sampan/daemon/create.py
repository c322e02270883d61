"""Create: a request becomes a container that is durable before it is answered for, or nothing."""

import asyncio
import logging
import os
import platform as machine
import time
from pathlib import Path

import msgspec

from sampan.cgroups.scope_plan import slice_names
from sampan.crashpoints import crash_point
from sampan.daemon import hardened, merge, oci, rootless, runtimes, slots, userns_mode, verify
from sampan.daemon.container import Container
from sampan.daemon.definition import DEFINITIONS, STATES, Definition, encode
from sampan.daemon.engine import Engine
from sampan.daemon.needs import FoundImage
from sampan.daemon.states import State
from sampan.daemon.users import Caller, check_mounts, kept_user
from sampan.daemon.users import check as check_users
from sampan.daemon.verify_resources import check_resources
from sampan.errors import InvalidParameter, NotFound, SampanError, System, host_fault
from sampan.logs import options
from sampan.spec.containers import ContainerConfig, CreateRequest, CreateResponse
from sampan.spec.host_config import HostConfig
from sampan.spec.ids import ContainerId
from sampan.spec.networks import EndpointSettings
from sampan.spec.user_maps import UserMaps
from sampan.state.store import Put

_log = logging.getLogger("sampan.daemon")
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
DEPTH = 0o710
"""Mode of a container's directory."""


async def create(
    engine: Engine, request: CreateRequest, name: str, platform: str, caller: Caller | None = None
) -> CreateResponse:
    """Make a container. Raises InvalidParameter, NotFound, Conflict, NotImplementedHere in Docker's wording.

    `caller` are the client's user and group, where they are known.
    """
    await _look_for_log_plugin(engine, request)
    config, host, image, endpoints, warnings = _judge(engine, request, platform)
    asked = userns_mode.asked(host)
    if not request.user and (kept := kept_user(asked, caller)):
        config = msgspec.structs.replace(config, user=kept)
    container_id = slots.reserved(engine, host)
    taken = engine.containers.take_name(name, container_id)
    try:
        users = engine.users.take(container_id, asked, caller)
        check_users(host, users)
        if users is not None:
            runtimes.check(engine.config, host, init=False, users=True)
        definition = await _make(engine, container_id, taken, config, host, image, endpoints, users)
    except BaseException:
        engine.users.settled(container_id)
        engine.containers.free_name(taken, container_id)
        raise
    container = Container(definition, State())
    engine.containers.add(container)
    engine.users.settled(container_id)
    engine.linked.add(definition)
    engine.event(container, "create")
    return CreateResponse(id=container_id, warnings=tuple(warnings))


async def _look_for_log_plugin(engine: Engine, request: CreateRequest) -> None:
    """A log driver that is none of ours has to be a plugin that answers. Raises InvalidParameter in Docker's words."""
    asked = request.host_config.log_config.type if request.host_config is not None else ""
    driver = asked or engine.config.log_driver
    if driver in options.DRIVERS:
        return
    try:
        await engine.plugins.get(driver, "LogDriver")
    except NotFound as error:
        raise InvalidParameter(f"logger: no log driver named '{driver}' is registered") from error
    except SampanError as error:
        raise InvalidParameter(f"error looking up logging plugin {driver}: {error}") from error


def _judge(
    engine: Engine, request: CreateRequest, platform: str
) -> tuple[ContainerConfig, HostConfig, FoundImage | None, dict[str, EndpointSettings], list[str]]:
    host = request.host_config or HostConfig()
    verify.check_config(request)
    verify.check_healthcheck_times(request)
    runtimes.find(engine.config, host.runtime)
    warnings = verify.check_host(host, request, engine.around.capabilities)
    if engine.config.rootless:
        rootless.refuse(host, without_groups=engine.around.without_groups)
    if engine.around.systemd:
        slice_names(host.cgroup_parent)
    host, more = check_resources(hardened.applied(host, engine.around.capabilities), engine.means)
    image = engine.layers.find(request.image) if request.image else None
    if image is not None:
        warnings += _check_platform(request.image, image, platform)
    config = merge.with_image(request, image.config if image else None)
    host = merge.with_defaults(host, engine.config, cgroup_v2=engine.around.cgroup_v2, thermal=engine.around.thermal)
    host = _with_ids(engine, host)
    if host.runtime not in runtimes.OWN_NAMES:
        runtimes.check(engine.config, host, init=oci.wants_init(host, default=engine.around.init), users=False)
    options.parse(host.log_config.type, host.log_config.config or {}, plugin=True)
    endpoints = _endpoints(request)
    engine.wiring.check(host, config, endpoints)
    return config, host, image, endpoints, warnings + more


def _check_platform(reference: str, image: FoundImage, wanted: str) -> list[str]:
    here = _ARCHITECTURES.get(machine.machine(), machine.machine())
    has = "/".join(part for part in (image.os, image.architecture, image.variant) if part)
    if wanted:
        parts = wanted.split("/")
        if parts[0] != image.os or (len(parts) > 1 and parts[1] != image.architecture):
            raise NotFound(
                f"image with reference {reference} was found but its platform ({has}) "
                f"does not match the specified platform ({wanted})"
            )
        return []
    if image.os == "linux" and image.architecture in ("", here):
        return []
    text = f"The requested image's platform ({has}) does not match the detected host platform (linux/{here})"
    return [text + " and no specific platform was requested"]


def _with_ids(engine: Engine, host: HostConfig) -> HostConfig:
    """Modes that name a container keep its id: a rename of it must not break them.

    One that is not there is refused, but for the network's: as in Docker, its start will say what is missing.
    """
    changes = {}
    for field in ("pid_mode", "ipc_mode", "network_mode"):
        name = verify.joins(getattr(host, field))
        if name:
            try:
                changes[field] = verify.CONTAINER_PREFIX + engine.find(name).id
            except SampanError as error:
                if field != "network_mode":
                    raise InvalidParameter(str(error)) from error
    if donor := userns_mode.asked(host).donor:
        changes["userns_mode"] = verify.CONTAINER_PREFIX + engine.find(donor).id
    return msgspec.structs.replace(host, **changes) if changes else host


def _endpoints(request: CreateRequest) -> dict[str, EndpointSettings]:
    asked = request.networking_config.endpoints_config if request.networking_config else None
    found = {}
    for network, settings in (asked or {}).items():
        if settings is None:
            raise InvalidParameter(f"invalid config for network {network}: EndpointsConfig is nil")
        found[network] = settings
    return found


async def _make(
    engine: Engine,
    container_id: ContainerId,
    name: str,
    config: ContainerConfig,
    host: HostConfig,
    image: FoundImage | None,
    endpoints: dict[str, EndpointSettings],
    users: UserMaps | None,
) -> Definition:
    """Volumes, writable layer, directory and records of a container; on a fault none of them is left."""
    path, arguments = merge.program(config)
    if not config.hostname:
        hostname = os.uname().nodename if host.network_mode == "host" else container_id[:12]
        config = msgspec.structs.replace(config, hostname=hostname)
    made: list[str] = []
    try:
        mounts = await engine.planner.plan(host, config, made)
        check_mounts(mounts, users)
        definition = Definition(
            id=container_id,
            name=name,
            created_ns=time.time_ns(),
            image=config.image,
            image_id=image.id if image else None,
            config=config,
            host=msgspec.structs.replace(host, links=None) if host.links is not None else host,
            path=path,
            args=arguments,
            mounts=mounts,
            endpoints=endpoints,
            driver=engine.layers.driver,
            links=engine.linked.resolve(host),
            users=users,
        )
        size = verify.layer_size(host, engine.layers.driver, bounded=engine.layers.bounded)
        await engine.layers.prepare(container_id, definition.image_id, size)
        await _populate(engine, definition)
        crash_point("create-after-layer")
        os.mkdir(engine.directory(container_id), DEPTH)
        await engine.commit(
            [
                Put(DEFINITIONS, container_id, encode(definition)),
                Put(STATES, container_id, encode(State())),
                *engine.volumes.staying(made),
            ]
        )
    except BaseException as error:
        await asyncio.shield(_undo(engine, container_id, made))
        if isinstance(error, OSError):
            raise System(f"create of container {container_id[:12]}: {host_fault(error)}") from error
        raise
    crash_point("create-after-commit")
    return definition


async def _populate(engine: Engine, definition: Definition) -> None:
    """A new volume begins with what the image has at its place, as in Docker."""
    wanted = [point for point in definition.mounts if point.type == "volume" and not point.nocopy]
    if not wanted:
        return
    root = engine.layers.view(definition.image_id)
    if root < 0:
        return
    try:
        for point in wanted:
            await engine.volumes.populate(point.name, root, point.destination)
    finally:
        os.close(root)


async def _undo(engine: Engine, container_id: ContainerId, volumes: list[str]) -> None:
    engine.layers.discard(container_id)
    remove_directory(engine, container_id)
    for name in volumes:
        await engine.volumes.remove_anonymous(name)


def remove_directory(engine: Engine, container_id: ContainerId) -> None:
    """Remove a container's log and files. A fault leaves them to the next start of the daemon, which looks for orphans."""
    try:
        engine.trash.take(Path(engine.directory(container_id)))
    except OSError as error:
        _log.warning("container %s: its directory stays until the next start: %s", container_id[:12], error)
