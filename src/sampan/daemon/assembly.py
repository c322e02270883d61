"""The parts of a daemon put together in the order in which they need each other, and taken apart again."""

import asyncio
import logging
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

from sampan import crashpoints
from sampan.build.cache.holdings import TABLE, Holdings
from sampan.cgroups import means
from sampan.cgroups.hierarchy import detect
from sampan.cgroups.leaf import make_room
from sampan.cgroups.oom import OomNotices
from sampan.content.store import Content
from sampan.daemon import (
    adopt,
    attach,
    builds_api,
    exec_start,
    exits,
    network_changes,
    oom,
    registry_settings,
    slots,
    subordinate,
)
from sampan.daemon.all_volumes import AllVolumes
from sampan.daemon.build_cache import BuildCacheApi
from sampan.daemon.config import DaemonConfig, places
from sampan.daemon.container import Container
from sampan.daemon.control_groups import GroupPlanner, managed_by_systemd, realtime_budget
from sampan.daemon.engine import Engine
from sampan.daemon.events import Events
from sampan.daemon.execs import Execs
from sampan.daemon.layers import ImageLayers
from sampan.daemon.links import Links
from sampan.daemon.log_shipping import LogShipping
from sampan.daemon.looks import Looks
from sampan.daemon.managed_api import ManagedApi, plugin_users
from sampan.daemon.metrics_collectors import MetricsCollectors
from sampan.daemon.mounts import MountPlanner
from sampan.daemon.names import Registry
from sampan.daemon.network_records import CLAIMS
from sampan.daemon.network_settings import network_options
from sampan.daemon.plugin_volumes import PluginVolumes
from sampan.daemon.rules_watch import RulesWatch
from sampan.daemon.sampler import Sampler
from sampan.daemon.shm import SharedMemory
from sampan.daemon.storage import open_layers
from sampan.daemon.surroundings import surroundings
from sampan.daemon.transfers import Transfers
from sampan.daemon.users import Users
from sampan.daemon.volume_store import LocalVolumes
from sampan.daemon.wiring import NetworkWiring
from sampan.daemon.workers import Workers
from sampan.errors import InvalidParameter
from sampan.files.quotas import open_quotas
from sampan.files.trash import Trash
from sampan.host.facts import Facts, read
from sampan.images.host_layer import HostLayer
from sampan.images.images import Images, Travel
from sampan.images.removal import ImageUser
from sampan.network.networks import Networks
from sampan.plugins.authorization import Gate
from sampan.plugins.installed import Installed
from sampan.plugins.plugins import Plugins
from sampan.registry.fetching import Fetcher
from sampan.registry.registries import RemoteRegistries
from sampan.runtime.client import RuntimeClient
from sampan.runtime.sources import Roots
from sampan.snapshots.protocol import Snapshotter
from sampan.snapshots.serving import serve
from sampan.spec.ids import ContainerId, ImageId, InstanceId
from sampan.state.store import Store
from sampan.volumes.local import Volumes

_log = logging.getLogger("sampan.daemon")
_FOLLOW_SECONDS = 2.0
_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"} | {
    name: os.environ[name] for name in (crashpoints.VARIABLE,) if name in os.environ
}
"""All that launcher and monitors get of ours: nothing secret is in it."""


@dataclass(slots=True)
class Assembly:
    """Everything that `sampand` made, for the API and for the end."""

    engine: Engine
    images: Images
    networks: Networks
    runtime: RuntimeClient
    workers: Workers
    snapshots: Snapshotter
    facts: Facts
    volumes: Volumes
    plugin_volumes: PluginVolumes
    groups: GroupPlanner
    registries: RemoteRegistries
    asking: Workers
    """threads of their own for what waits for registries: one that stalls keeps nobody else waiting"""
    fetcher: Fetcher
    build_cache: BuildCacheApi
    gate: Gate
    plugins: ManagedApi
    collectors: MetricsCollectors

    async def close(self) -> None:
        """Let go of everything without stopping a container."""
        for task in list(self.engine.tasks):
            task.cancel()
        await asyncio.gather(*self.engine.tasks, return_exceptions=True)
        await self.engine.transfers.close()
        await self.engine.looks.close()
        await self.plugin_volumes.close()
        self.engine.plugins.close()
        self.engine.sampler.close()
        asyncio.get_running_loop().remove_reader(self.engine.oom.fileno())
        self.engine.oom.close()
        stops = not self.engine.config.live_restore
        await self.collectors.end(stop=stops)
        await self.plugins.end(stop=stops)
        await self.runtime.close()
        self.engine.shipping.close()
        await self.groups.retire(self.engine)
        self.engine.events.close()
        asyncio.get_running_loop().remove_reader(self.networks.fileno())
        self.networks.close(remove=not any(container.state.alive for container in self.engine.containers))
        self.engine.trash.close()
        self.registries.close()
        self.fetcher.close()
        self.asking.close()
        self.workers.close()
        self.build_cache.close()
        self.images.close()
        self.snapshots.close()
        self.engine.store.close()


async def assemble(config: DaemonConfig, instance: InstanceId, api_socket: str) -> Assembly:
    """Open state, images, networks and runtime. Raises SampanError; what was opened before then is left to the exit."""
    (config.data_root / "containers").mkdir(mode=0o710, exist_ok=True)
    facts = read()
    hierarchy = detect()
    make_room(hierarchy, instance)
    store = Store(config.data_root / "sampan.db")
    events = Events(config.data_root)
    workers = Workers()
    drivers_here = Installed(config.exec_root / "drivers", config.data_root / "drivers", _ENVIRONMENT)
    snapshots = open_layers(config, drivers_here)
    host_layer = HostLayer((str(config.data_root), str(config.exec_root)))
    known = replace(config.registries, proxies=registry_settings.proxies(config.registries.proxies, os.environ))
    registries = RemoteRegistries(known)
    content = Content(config.data_root / "content")
    built = Holdings(store.table(TABLE))
    notify = partial(_image_event, asyncio.get_running_loop(), events)
    images = Images(store, content, snapshots, notify, host_layer, _travel(config, registries), keepers=[built])
    layers = ImageLayers(images, snapshots, workers)
    containers: Registry[Container] = Registry()
    plugins = Plugins([places(config), drivers_here])
    kept_volumes, volumes = _volumes(config, store, plugins, containers, workers, events)
    runtime = _runtime(config, host_layer, Roots(lambda image: layers.view(ImageId(image)), volumes.tree, serve))
    networks = Networks(instance, network_options(config))
    systemd = managed_by_systemd(config.cgroup_driver, hierarchy, config.cgroup_parent)
    budget = realtime_budget(config.cpu_rt_period, config.cpu_rt_runtime, hierarchy)
    users, around = _users(config, containers, layers.driver), surroundings(config, facts, hierarchy, systemd=systemd)
    # After every setting that may be refused: from here on there is something on the host to take away again.
    found = means.probe(hierarchy, instance)
    groups = GroupPlanner(replace(hierarchy, v2_weight=found.v2_weight), instance, systemd=systemd, budget=budget)
    wiring = NetworkWiring(networks, config, runtime)
    engine = Engine(
        config=config,
        instance=instance,
        store=store,
        runtime=runtime,
        layers=layers,
        volumes=volumes,
        wiring=wiring,
        cgroups=groups,
        events=events,
        containers=containers,
        planner=MountPlanner(volumes, containers.find, layers.mountable, api_socket, str(config.data_root)),
        around=around,
        means=found,
        shm=SharedMemory(config.exec_root / "shm"),
        execs=Execs(),
        linked=Links(containers),
        transfers=Transfers(),
        looks=Looks(),
        sampler=Sampler(runtime, containers, wiring),
        oom=OomNotices(),
        plugins=plugins,
        shipping=LogShipping(config.exec_root, config.data_root, _ENVIRONMENT, plugins.find),
        users=users,
        trash=Trash(config.data_root / "trash-containers"),
        ended=lambda container, ended: exits.on_exit(engine, container, ended),
    )
    _tie(engine, runtime, wiring)
    drivers = (snapshots, facts, kept_volumes, volumes.plugins, groups)
    kept = BuildCacheApi(images.catalog, store, built, config.data_root, workers)
    collectors = MetricsCollectors(config, plugins)
    managed = _managed(engine, registries, networks, volumes.plugins, collectors)
    fetching = (registries, Workers(), Fetcher(known))
    return Assembly(
        engine, images, networks, runtime, workers, *drivers, *fetching, kept, Gate(plugins), managed, collectors
    )


def _runtime(config: DaemonConfig, host_layer: HostLayer, roots: Roots) -> RuntimeClient:
    places = (str(config.exec_root), str(config.data_root))
    return RuntimeClient(*places, _ENVIRONMENT, host_layer=host_layer.mount, roots=roots, log_format=config.log_format)


def _travel(config: DaemonConfig, registries: RemoteRegistries) -> Travel:
    return Travel(registries, config.max_downloads, config.max_uploads, config.download_attempts, policy=config.policy)


async def take_over(parts: Assembly) -> None:
    """Read the records, open networks and runtime, and adopt what an earlier daemon left."""
    engine = parts.engine
    adopt.load(engine)
    await parts.plugins.take_over()
    parts.networks.open(network_changes.load(engine))
    found = await parts.runtime.open()
    await adopt.adopt(engine, found)
    alive = {str(container.id) for container in engine.containers if container.state.alive}
    engine.volumes.settle(alive.__contains__)
    await network_changes.finish(engine)
    parts.networks.adopted()
    if engine.store.table(CLAIMS):
        engine.wiring.remote.settle(engine.wiring.endpoints())
    adopt.ship(engine)
    await adopt.restore(engine)
    adopt.sweep(engine)
    builds_api.sweep(engine)
    parts.groups.sweep(engine)
    asyncio.get_running_loop().add_reader(parts.networks.fileno(), RulesWatch(parts.networks).heard)
    asyncio.get_running_loop().add_reader(engine.oom.fileno(), oom.heard, engine)
    _ = engine.spawn(_follow_resolver(engine), "following the host's resolv.conf")
    parts.runtime.open_pool(slots.planner(engine, parts.networks), engine.users.settled)


async def _follow_resolver(engine: Engine) -> None:
    """The host's resolv.conf is replaced by whoever runs its network, and nobody tells."""
    while True:
        await asyncio.sleep(_FOLLOW_SECONDS)
        engine.wiring.follow_host()


def image_users(engine: Engine, image: ImageId) -> list[ImageUser]:
    """Which containers were made from an image. Called from worker threads: the registry's iteration takes a copy."""
    return [
        ImageUser(container.id, container.state.running)
        for container in engine.containers
        if container.definition.image_id == image or any(point.image == image for point in container.definition.mounts)
    ]


def image_counts(engine: Engine) -> Counter[ImageId]:
    """How many containers were made from each image."""
    return Counter(container.definition.image_id for container in engine.containers if container.definition.image_id)


def volume_users(containers: Registry[Container], name: str) -> list[ContainerId]:
    """Which containers refer to a volume."""
    return [
        container.id
        for container in containers
        if any(point.type == "volume" and point.name == name for point in container.definition.mounts)
    ]


def _volumes(
    config: DaemonConfig,
    store: Store,
    plugins: Plugins,
    containers: Registry[Container],
    workers: Workers,
    events: Events,
) -> tuple[Volumes, AllVolumes]:
    """Those of the driver `local`, and these with the plugins'."""
    kept = Volumes(store, config.data_root / "volumes", open_quotas(config.data_root))
    holders = partial(volume_users, containers)
    local = LocalVolumes(kept, holders, workers, events)
    remote = PluginVolumes(store, plugins, (str(config.data_root), str(config.exec_root)))
    return kept, AllVolumes(local, remote, holders, workers, events)


def _tie(engine: Engine, runtime: RuntimeClient, wiring: NetworkWiring) -> None:
    """What is made before the engine, and tells or asks it."""
    runtime.on_exit(partial(exits.on_exit, engine))
    runtime.on_exec_exit(partial(exec_start.on_exec_exit, engine))
    runtime.on_detach(partial(attach.on_detach, engine))
    wiring.engine = engine


def _managed(
    engine: Engine,
    registries: RemoteRegistries,
    networks: Networks,
    volumes: PluginVolumes,
    collectors: MetricsCollectors,
) -> ManagedApi:
    """Managed plugins, which are found by name before any other."""
    managed = ManagedApi(engine, registries, partial(plugin_users, networks, volumes), _ENVIRONMENT, collectors)
    engine.plugins.sources.insert(0, managed)
    return managed


def _users(config: DaemonConfig, containers: Registry[Container], driver: str) -> Users:
    if config.rootless and config.userns_remap:
        raise InvalidParameter("userns-remap is not possible in rootless mode, which has the users of who runs it")
    default = subordinate.remapped(config.userns_remap)
    if default is not None:
        _check_idmaps(str(config.data_root), driver)
    return Users(
        default,
        partial(subordinate.pool, config.userns_pool),
        lambda: [one.definition.users for one in containers if one.definition.users is not None],
        lambda name: containers.find(name).definition.users,
    )


def _check_idmaps(data_root: str, driver: str) -> None:
    """Refuse to remap where no container could start with it. Raises InvalidParameter, System."""
    if driver == "fuse-overlayfs":
        raise InvalidParameter(
            "userns-remap is not possible with the storage driver fuse-overlayfs, whose mounts take no maps: take overlay2 or vfs"
        )
    from sampan.host.check import probe_one

    found = probe_one(data_root, "idmapped mounts")
    if not found.ok:
        raise InvalidParameter(
            f"userns-remap is not possible with the data root {data_root}: its file system takes no idmapped mounts ({found.why}); "
            "put it on ext4, xfs or btrfs, or, from Linux 6.3 on, on tmpfs (--data-root)"
        )
    if driver != "overlay2":
        return
    layers = probe_one(data_root, "idmapped layers")
    if not layers.ok:
        raise InvalidParameter(
            f"userns-remap is not possible with the storage driver overlay2 here: overlay takes no idmapped layers ({layers.why}), "
            "which it does from Linux 5.19 on; take the storage driver vfs"
        )


def _image_event(
    loop: asyncio.AbstractEventLoop, events: Events, action: str, actor: str, name: str, labels: Mapping[str, str]
) -> None:
    attributes = {"reclaimed": name} if action == "prune" else {**labels, "name": name}
    loop.call_soon_threadsafe(events.publish, "image", str(action), str(actor), attributes)
