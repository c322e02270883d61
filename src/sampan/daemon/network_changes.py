"""Networks made and removed, containers let in and out: what is acknowledged is durable, and nothing is half-made."""

import asyncio
import logging
import time
from dataclasses import dataclass

import msgspec

from sampan.crashpoints import crash_point
from sampan.daemon import etc
from sampan.daemon.container import Container
from sampan.daemon.definition import DEFINITIONS, ENDPOINTS, Definition, encode
from sampan.daemon.engine import Engine
from sampan.daemon.needs import Connected
from sampan.daemon.network_records import NETWORKS, encode_network, stored
from sampan.errors import Conflict, Forbidden, NotFound, System
from sampan.network.creation import PREDEFINED, define, is_remote
from sampan.network.definition import NetworkDefinition
from sampan.network.driver import NetworkFacts
from sampan.network.networks import Networks
from sampan.runtime.request import LinkChange
from sampan.runtime.start_failure import StartFailed
from sampan.spec.ids import ContainerId, NetworkId, new_id
from sampan.spec.networks import EndpointSettings, NetworkCreateRequest
from sampan.state.records import decoded
from sampan.state.store import Change, Delete, Put

UNFINISHED = "networks-unfinished"
"""Table of changes in running containers, by the container's id: what is to be done if the daemon does not come to it."""
_log = logging.getLogger("sampan.daemon")


class Unfinished(msgspec.Struct, frozen=True):
    """How a change is taken back; None where it holds, and only files may be behind it, one of which said `resolv_conf`."""

    back: LinkChange | None
    resolv_conf: str = ""


_encoder = msgspec.json.Encoder()
_unfinished_decoder = msgspec.json.Decoder(Unfinished)


def load(engine: Engine) -> list[NetworkDefinition]:
    """The networks that an earlier daemon acknowledged."""
    return stored(engine.store)


async def create(engine: Engine, networks: Networks, request: NetworkCreateRequest) -> NetworkDefinition:
    """Make a network. On the host first, then in the records: a bridge without a record goes at the next start."""
    if is_remote(request):
        definition = await engine.wiring.remote.create(request)
        _tell(engine, networks.find(definition.id), "create")
        return definition
    definition = define(
        request,
        NetworkId(new_id()),
        time.time_ns(),
        networks.definitions(),
        networks.subnets(),
        networks.choose_subnet,
        networks.default_options(request.driver),
    )
    networks.create(definition)
    crash_point("network-before-commit")
    try:
        await engine.commit([Put(NETWORKS, definition.id, encode_network(definition))])
    except BaseException:
        networks.remove(definition.id)
        raise
    crash_point("network-after-commit")
    _tell(engine, networks.find(definition.id), "create")
    return definition


async def remove(engine: Engine, networks: Networks, facts: NetworkFacts) -> None:
    """Remove a network. Raises Forbidden where containers are in it, or Docker's own networks are meant."""
    if facts.name in PREDEFINED:
        raise Forbidden(f"{facts.name} is a pre-defined network and cannot be removed")
    if inside := members(engine, facts.name):
        told = ", ".join(f'name:"{container.name}" id:"{end.endpoint_id[:12]}"' for container, end in inside)
        raise Forbidden(f"error while removing network: network {facts.name} has active endpoints ({told})")
    if facts.definition is not None and facts.definition.config_only:
        users = [one.name for one in networks.definitions() if one.config_from == facts.name]
        if users:
            raise Forbidden(f'error while removing network: configuration network "{facts.name}" is in use')
    if facts.definition is not None and facts.definition.asks_plugins:
        await engine.wiring.remote.remove(facts.definition)
        _tell(engine, facts, "destroy")
        return
    # Nobody gets a place in it while the disk works.
    networks.remove(facts.id)
    crash_point("network-after-removal")
    try:
        await engine.commit([Delete(NETWORKS, facts.id)])
    except System:
        assert facts.definition is not None
        networks.create(facts.definition)
        raise
    _tell(engine, facts, "destroy")


def members(engine: Engine, network: str) -> list[tuple[Container, EndpointSettings]]:
    """The running containers that stand in a network."""
    found = []
    for container in engine.containers:
        connected = engine.wiring.connected(container.id)
        if connected is not None and (settings := connected.settings.get(network)) is not None:
            found.append((container, settings))
    return found


async def connect(engine: Engine, reference: str, container_name: str, wish: EndpointSettings) -> None:
    """Let a container into a network, now where it runs and at each start."""
    container = engine.find(container_name)
    async with container.lock:
        if container.removing:
            raise Conflict(
                f"container {container.id} is marked for removal and cannot be connected to the network {reference}"
            )
        definition = container.definition
        name = engine.wiring.allow(definition, reference, wish)
        planned = engine.wiring.planned(definition)
        if name in planned:
            if container.state.running:
                raise Forbidden(f"endpoint with name {container.name} already exists in network {name}")
            if wish == EndpointSettings():
                return
        wanted = msgspec.structs.replace(definition, endpoints={**planned, name: wish}, unplugged=False)
        # A deed, once begun, is carried through whether or not its client waits for it.
        await asyncio.shield(_connect(engine, container, wanted, name, wish))


async def _connect(engine: Engine, container: Container, wanted: Definition, name: str, wish: EndpointSettings) -> None:
    changes: list[Change] = [Put(DEFINITIONS, container.id, encode(wanted))]
    if not container.state.running:
        await engine.commit(changes)
        container.definition = wanted
        return

    before = engine.wiring.connected(container.id) or Connected()
    connected = await engine.wiring.join(wanted, name, wish, _Deed(engine, container, wanted, before))
    _tell_link(engine, container, name, connected, "connect")


async def disconnect(engine: Engine, facts: NetworkFacts, container_name: str, force: bool) -> None:
    """Take a container out of a network, now where it runs and at each start."""
    try:
        container = engine.find(container_name)
    except NotFound:
        if force:
            raise NotFound(f"endpoint {container_name} not found") from None
        raise
    async with container.lock:
        definition = container.definition
        planned = engine.wiring.planned(definition)
        if facts.driver == "host" and "host" in planned and container.state.running:
            raise Conflict("container cannot be disconnected from host network or connected to host network")
        if facts.name not in planned:
            raise System(f"container {container.id} is not connected to network {facts.name}")
        left = {name: wish for name, wish in planned.items() if name != facts.name}
        wanted = msgspec.structs.replace(definition, endpoints=left, unplugged=not left)
        await asyncio.shield(_disconnect(engine, container, wanted, facts.name))


async def _disconnect(engine: Engine, container: Container, wanted: Definition, name: str) -> None:
    changes: list[Change] = [Put(DEFINITIONS, container.id, encode(wanted))]
    before = engine.wiring.connected(container.id)
    if not container.state.running or before is None or name not in before.settings:
        await engine.commit(changes)
        container.definition = wanted
        return

    await engine.wiring.leave(wanted, name, _Deed(engine, container, wanted, before))
    _tell_link(engine, container, name, before, "disconnect")


@dataclass(slots=True)
class _Deed:
    """A change of a running container's network; implements `needs.LinkDeed`."""

    engine: Engine
    container: Container
    wanted: Definition
    before: Connected
    _back: LinkChange | None = None

    @property
    def was(self) -> Definition:
        """See `needs.LinkDeed`."""
        return self.container.definition

    async def relink(self, change: LinkChange, back: LinkChange) -> None:
        """See `needs.LinkDeed`. How it is taken back is durable first: the change is seen before it is acknowledged."""
        engine, container = self.engine, self.container
        await engine.commit([Put(UNFINISHED, container.id, _encoder.encode(Unfinished(back)))])
        self._back = back
        crash_point("relink-after-record")
        try:
            await engine.runtime.relink(container.id, change)
        except BaseException as error:
            await engine.commit([Delete(UNFINISHED, container.id)])
            if isinstance(error, StartFailed):
                raise System(error.message) from error
            if isinstance(error, KeyError):
                raise Conflict("the container has ended meanwhile") from error
            raise
        crash_point("relink-after-change")

    async def record(self, connected: Connected) -> None:
        """See `needs.LinkDeed`. It is durable, then the container's files say it too."""
        engine, container = self.engine, self.container
        crash_point("relink-before-commit")
        left = Unfinished(None, self.before.resolv_conf)
        try:
            await engine.commit(
                [
                    Put(DEFINITIONS, container.id, encode(self.wanted)),
                    Put(ENDPOINTS, container.id, connected.kept),
                    Put(UNFINISHED, container.id, _encoder.encode(left)),
                ]
            )
        except System:
            await self._take_back()
            raise
        container.definition = self.wanted
        crash_point("relink-after-commit")
        etc.renew_own(engine, container, self.before, connected)
        await self._finished()

    async def _take_back(self) -> None:
        assert self._back is not None
        try:
            await self.engine.runtime.relink(self.container.id, self._back)
        except (StartFailed, KeyError) as error:
            _tell_left(self.container, error)
        await self._finished()

    async def _finished(self) -> None:
        """What is done does not depend on it: the next daemon would do it once more."""
        try:
            await self.engine.commit([Delete(UNFINISHED, self.container.id)])
        except System as error:
            _log.warning("container %s: a change of its network stays noted: %s", self.container.id[:12], error)


async def finish(engine: Engine) -> None:
    """After an earlier daemon's death: changes that were not recorded are taken back, files of those that were are renewed.

    Called when every running container has been adopted.
    """
    done: list[Change] = []
    for identifier, data in engine.store.table(UNFINISHED).items():
        done.append(Delete(UNFINISHED, identifier))
        container = engine.containers.get(ContainerId(identifier))
        connected = engine.wiring.connected(ContainerId(identifier))
        if container is None or connected is None or not container.state.alive:
            continue
        left = decoded(UNFINISHED, identifier, data, _unfinished_decoder.decode)
        if left.back is None:
            etc.renew_own(engine, container, Connected(resolv_conf=left.resolv_conf), connected)
            continue
        try:
            await engine.runtime.relink(container.id, left.back)
        except (StartFailed, KeyError) as error:
            _tell_left(container, error)
    if done:
        await engine.commit(done)


def _tell_left(container: Container, error: Exception) -> None:
    _log.warning("container %s: a change of its network is not taken back: %s", container.id[:12], error)


def _tell(engine: Engine, facts: NetworkFacts, action: str) -> None:
    engine.events.publish("network", action, facts.id, {"name": facts.name, "type": facts.driver})


def _tell_link(engine: Engine, container: Container, name: str, connected: Connected, action: str) -> None:
    kind = engine.wiring.drivers().get(name, "bridge")
    network = connected.settings[name].network_id
    engine.events.publish("network", action, network, {"container": container.id, "name": name, "type": kind})
