"""The parts of a running daemon in one place, and what every verb does with them: find, record, tell."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Protocol

from sampan.cgroups.means import Means
from sampan.cgroups.oom import OomNotices
from sampan.cgroups.plan import CgroupPlan
from sampan.daemon.config import DaemonConfig
from sampan.daemon.container import Container
from sampan.daemon.definition import STATES, encode
from sampan.daemon.events import Events
from sampan.daemon.execs import Execs
from sampan.daemon.exhausted import end_if_exhausted
from sampan.daemon.links import Links
from sampan.daemon.log_shipping import LogShipping
from sampan.daemon.looks import Looks
from sampan.daemon.mounts import MountPlanner
from sampan.daemon.names import Registry
from sampan.daemon.needs import Layers, VolumeStore, Wiring
from sampan.daemon.oci import Surroundings
from sampan.daemon.sampler import Sampler
from sampan.daemon.shm import SharedMemory
from sampan.daemon.transfers import Transfers
from sampan.daemon.users import Users
from sampan.errors import NotFound
from sampan.files.trash import Trash
from sampan.plugins.plugins import Plugins
from sampan.runtime.port import Runtime
from sampan.runtime.request import Exit
from sampan.spec import oci_runtime as oci
from sampan.spec.ids import ContainerId, InstanceId
from sampan.state.store import Change, Put, Store

_log = logging.getLogger("sampan.daemon")


class CgroupPlanner(Protocol):
    """Where a container's control groups are, and what is written into them."""

    def plan(self, container: ContainerId, parent: str, resources: oci.Resources) -> CgroupPlan:
        """The plan for one start."""
        ...


@dataclass(slots=True)
class Engine:
    """One daemon. Made by `assembly`; everything here runs on its event loop."""

    config: DaemonConfig
    instance: InstanceId
    store: Store
    runtime: Runtime
    layers: Layers
    volumes: VolumeStore
    wiring: Wiring
    cgroups: CgroupPlanner
    events: Events
    containers: Registry[Container]
    planner: MountPlanner
    around: Surroundings
    means: Means
    shm: SharedMemory
    execs: Execs
    linked: Links
    transfers: Transfers
    looks: Looks
    sampler: Sampler
    oom: OomNotices
    plugins: Plugins
    shipping: LogShipping
    users: Users
    trash: Trash
    """where the directories of removed containers go"""
    ended: Callable[[ContainerId, Exit], None]
    """what follows an exit: `exits.on_exit`, bound to this engine"""
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    """set once everything that an earlier daemon left is adopted: no restart comes before"""
    shutting_down: bool = False
    checks: int = 0
    failed_checks: int = 0
    """health checks since this daemon began, for its metrics"""
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def find(self, reference: str) -> Container:
        """A container by id, name, prefix or the name that a link gives it. Raises NotFound, InvalidParameter."""
        if "/" not in reference[1:]:
            return self.containers.find(reference)
        found = self.containers.get(self.linked.find(reference)[1].child)
        if found is None:
            raise NotFound(f"No such container: {reference}")
        return found

    def directory(self, container: ContainerId) -> str:
        """Where a container's log and files of /etc lie. Text: paths as objects cost more than what is done with them."""
        return f"{self.config.data_root}/containers/{container}"

    def event(self, container: Container, action: str, attributes: Mapping[str, str] | None = None) -> None:
        """Tell that something happened to a container, with Docker's attributes: labels, image, name, and what is given."""
        definition = container.definition
        told = {**(attributes or {}), **(definition.config.labels or {})}
        if definition.config.image:
            told["image"] = definition.config.image
        told["name"] = definition.name
        self.events.publish("container", action, definition.id, told)

    def links(self, container: Container, action: str) -> None:
        """Tell that a container's network was connected or disconnected, and its volumes mounted or unmounted."""
        connected = self.wiring.connected(container.id)
        drivers = self.wiring.drivers()
        for network, settings in (connected.settings if connected else {}).items():
            self.events.publish(
                "network",
                "connect" if action == "mount" else "disconnect",
                settings.network_id,
                {"container": container.id, "name": network, "type": drivers.get(network, network)},
            )
        for point in container.definition.mounts:
            if point.type == "volume":
                told = {"container": container.id, "driver": point.driver}
                if action == "mount":
                    told |= {
                        "destination": point.destination,
                        "read/write": "true" if point.rw else "false",
                        "propagation": point.propagation,
                    }
                self.events.publish("volume", action, point.name, told)

    async def commit(self, changes: Sequence[Change]) -> None:
        """Make changes durable before going on. Raises System where the disk does not take them.

        Carried through when the client has gone: a change that was handed in is never half answered for.
        """
        await self.durable(self.store.commit(changes))

    async def durable(self, handed_in: "Future[None]") -> None:
        """Wait for a commit, as `commit` does."""
        try:
            await asyncio.shield(asyncio.wrap_future(handed_in))
        except MemoryError as error:
            # It may be on the disk: whoever called would take back what the record stands for.
            end_if_exhausted(error)

    def record(self, container: Container) -> "Future[None]":
        """Hand in a container's state; whoever needs it durable waits for the future."""
        done = self.store.commit([Put(STATES, container.id, encode(container.state))])
        done.add_done_callback(_report)
        return done

    def spawn(self, work: Coroutine[Any, Any, None], what: str) -> asyncio.Task[None]:
        """Run something beside the verbs; a fault ends in the log."""
        task = asyncio.get_running_loop().create_task(_guarded(work, what))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task


def _report(done: "Future[None]") -> None:
    if not done.cancelled() and (error := done.exception()) is not None:
        _log.error("a state could not be recorded: %s", error)


async def _guarded(work: Coroutine[Any, Any, None], what: str) -> None:
    try:
        await work
    except asyncio.CancelledError:
        raise
    except Exception:  # noqa: BLE001 - the boundary of a task
        _log.exception("%s failed", what)
