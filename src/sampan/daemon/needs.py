"""What the use-cases need of images, volumes and networks: Protocols, implemented by thin adapters beside them.

They keep the verbs free of how layers lie on disk or packets find their way, and let them be tested by themselves.
"""

import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from sampan.daemon.definition import Definition
from sampan.kernel.mount import OpenTree
from sampan.network.definition import NetworkDefinition
from sampan.network.plan import LinkPlan
from sampan.runtime.request import LinkChange, Named, ProxiedPort
from sampan.snapshots.protocol import Change
from sampan.spec.containers import ContainerConfig
from sampan.spec.host_config import HostConfig
from sampan.spec.ids import ContainerId, ImageId
from sampan.spec.images import ImageConfig
from sampan.spec.networks import EndpointSettings, NetworkCreateRequest
from sampan.spec.ports import PortMap
from sampan.spec.rootfs import RootMount
from sampan.state import store


@dataclass(frozen=True, slots=True)
class FoundImage:
    """An image as create needs it."""

    id: ImageId
    config: ImageConfig
    os: str
    architecture: str
    variant: str = ""


class Layers(Protocol):
    """Images by name, and the writable layers of containers."""

    @property
    def driver(self) -> str:
        """The storage driver's name."""
        ...

    def find(self, reference: str) -> FoundImage:
        """The image called `reference`. Raises NotFound: "No such image: …"."""
        ...

    @property
    def bounded(self) -> bool:
        """Whether a writable layer's size can be bounded."""
        ...

    async def prepare(self, container: ContainerId, image: ImageId | None, size: int = 0) -> None:
        """Make the writable layer of a container, of at most `size` bytes (0: no bound)."""
        ...

    def stands_on_host(self, image: ImageId) -> bool:
        """Whether the image is this machine itself, or was made on top of it."""
        ...

    def view(self, image: ImageId | None) -> int:
        """A descriptor of the image's root, read-only; -1 where the image cannot be looked into. The caller closes it."""
        ...

    def mount_of(self, container: ContainerId) -> RootMount:
        """How that container's root is mounted. Raises NotFound."""
        ...

    async def mounted(self, container: ContainerId) -> int:
        """The container's root as a mount that no namespace shows; the caller closes it.

        For a container that does not run and is kept from starting: nobody else may have its writable layer mounted.
        """
        ...

    async def looked_at(self, container: ContainerId) -> int:
        """The same to be read only, whoever else has it mounted (`Snapshotter.looked_at`)."""
        ...

    async def changes(self, container: ContainerId) -> tuple[Change, ...]:
        """How the writable layer differs from the image. Raises NotFound."""
        ...

    def difference(self, container: ContainerId) -> Iterator[bytes]:
        """The writable layer as a layer's tar, in pieces; stepped through in a worker thread."""
        ...

    def discard(self, container: ContainerId) -> None:
        """Take the writable layer away; its files go in the background. Absent already: no fault."""
        ...

    def writable(self) -> Sequence[ContainerId]:
        """Containers that have a writable layer: orphans are found by it."""
        ...

    async def usage(self, container: ContainerId) -> int:
        """Bytes of the writable layer, by walking it."""
        ...

    def size(self, image: ImageId) -> int:
        """Bytes of an image's layers."""
        ...

    def total(self) -> int:
        """Bytes of all layers, each counted once."""
        ...


@dataclass(frozen=True, slots=True)
class FoundVolume:
    """A volume as a mount needs it: `mountpoint` is its directory on the host."""

    name: str
    driver: str
    mountpoint: str
    mounted: bool = False
    """what is in it is mounted when it is used, and never seen at `mountpoint`"""


class VolumesByName(Protocol):
    """Named volumes, as requests mean them."""

    async def create(
        self, name: str, driver: str, options: Mapping[str, str], labels: Mapping[str, str]
    ) -> FoundVolume:
        """The volume of that name, made where it is missing; "" makes an anonymous one, for a container: see `staying`."""
        ...

    def get(self, name: str) -> FoundVolume:
        """The volume. Raises NotFound."""
        ...


class VolumeStore(VolumesByName, Protocol):
    """Named volumes. A volume that a container refers to cannot be removed."""

    async def populate(self, name: str, image_root: int, path: str) -> None:
        """Copy what the image has at `path` into the volume, if it is empty. `image_root` is from `Layers.view`."""
        ...

    async def hold(self, user: str, names: Iterable[str]) -> tuple[socket.socket, ...]:
        """Mount those of the volumes that are mounts, until `let_go`; for each of them what the user's monitor is to hold.

        The caller closes the sockets. Raises NotFound, System; then nothing is held.
        """
        ...

    def let_go(self, user: str) -> None:
        """The user, a container's id mostly, has ended. Nothing happens where it held nothing."""
        ...

    def adopt(self, user: ContainerId, monitor: int) -> None:
        """Take over what the process `monitor` of a running container holds."""
        ...

    def settle(self, living: Callable[[str], bool]) -> None:
        """A new daemon has found what runs: what is held for others, by notes of the last one, is let go of."""
        ...

    def tree(self, name: str, below: str, flags: OpenTree) -> int:
        """A copy of the mount that a held volume is (`runtime.sources.VolumeTree`)."""
        ...

    def staying(self, names: Iterable[str]) -> Sequence[store.Change]:
        """What is to be committed with a container so that volumes without a name that were made for it stay."""
        ...

    def going(self, names: Iterable[str], user: ContainerId) -> Sequence[store.Change]:
        """What is to be committed with the removal of `user` so that these go with it, whatever dies; none that others use."""
        ...

    def sweep(self) -> None:
        """Remove what creates and removals that were cut off left. Called when all containers are known."""
        ...

    async def remove_anonymous(self, name: str) -> None:
        """Remove a volume that was made for a container, if nothing else uses it."""
        ...


@dataclass(frozen=True, slots=True)
class Connected:
    """A container's end in its network, for the time of one run.

    `hosts` and `resolv_conf` are the contents of the files under /etc; `settings` is what inspect shows, by network name.
    """

    link: LinkPlan | None = None
    more_links: tuple[LinkPlan, ...] = ()
    interfaces: tuple[str, ...] = ()
    """what its interfaces are called inside"""
    resolver: bool = False
    """it stands in a user's network, whose names sampan-net answers for"""
    held: tuple[socket.socket, ...] = ()
    hosts: str = ""
    settings: Mapping[str, EndpointSettings] = field(default_factory=dict)
    ports: PortMap = field(default_factory=dict)
    resolv_conf: str = ""
    kept: bytes = b""
    """what `adopt` needs of it after a restart of the daemon; empty where there is nothing to take back"""


class LinkDeed(Protocol):
    """A change of a running container's network, as far as it is no affair of the books."""

    @property
    def was(self) -> Definition:
        """The container's definition until the change is recorded."""
        ...

    async def relink(self, change: LinkChange, back: LinkChange) -> None:
        """Make the change in the container; `back` takes it back. Raises SampanError; then nothing has changed."""
        ...

    async def record(self, connected: Connected) -> None:
        """Make it durable. Raises System; then the change was taken back."""
        ...


class Names(Protocol):
    """Where names of containers are answered for: the runtime's `sampan-net`."""

    def know(self, container: ContainerId, named: Named) -> None:
        """See `runtime.port.Runtime`."""
        ...

    def proxy(self, container: ContainerId, ports: tuple[ProxiedPort, ...], held: Sequence[socket.socket] = ()) -> None:
        """See `runtime.port.Runtime`."""
        ...

    def unname(self, container: ContainerId) -> None:
        """See `runtime.port.Runtime`."""
        ...

    def use_servers(self, servers: tuple[str, ...]) -> None:
        """See `runtime.port.Runtime`."""
        ...


class Remote(Protocol):
    """Networks that plugins have to do with: `remote_networks.RemoteNetworks`."""

    async def create(self, request: NetworkCreateRequest) -> NetworkDefinition:
        """Make one. Raises SampanError; then nothing of it is left."""
        ...

    async def remove(self, definition: NetworkDefinition) -> None:
        """Remove one in which nobody stands."""
        ...

    def settle(self, adopted: set[str]) -> None:
        """Give back what an earlier daemon had taken and nobody stands in."""
        ...


class Wiring(Protocol):
    """Networks, as starts and ends of containers need them."""

    @property
    def remote(self) -> Remote:
        """Networks that plugins have to do with."""
        ...

    def endpoints(self) -> set[str]:
        """The ids of all places that containers stand in."""
        ...

    def check(self, host: HostConfig, config: ContainerConfig, endpoints: Mapping[str, EndpointSettings]) -> None:
        """Refuse at create what could never start. Raises InvalidParameter, NotFound, NotImplementedHere."""
        ...

    async def connect(self, definition: Definition, linked: Sequence[tuple[str, str]] = ()) -> Connected:
        """Give a container that is about to start its address and ports. Raises SampanError; then nothing is kept.

        `linked` are addresses and names for its hosts file.

        Its own network namespace, the host's or none at all: modes that join another container never come here.
        """
        ...

    def connected(self, container: ContainerId) -> Connected | None:
        """Where a running container stands in its network; None where it has none of its own."""
        ...

    def planned(self, definition: Definition) -> dict[str, EndpointSettings]:
        """The networks that a container which does not run is to stand in, by name, with what was asked of each."""
        ...

    def drivers(self) -> Mapping[str, str]:
        """The driver of each network, by name."""
        ...

    def allow(self, definition: Definition, reference: str, wish: EndpointSettings) -> str:
        """The name of a network that a container may join. Raises NotFound, InvalidParameter, Forbidden in Docker's words."""
        ...

    async def join(self, definition: Definition, network: str, wish: EndpointSettings, deed: LinkDeed) -> Connected:
        """Let a running container into one more network. Raises SampanError; then nothing has changed."""
        ...

    async def leave(self, definition: Definition, network: str, deed: LinkDeed) -> Connected:
        """Take a running container out of a network that it stands in. Raises SampanError; then nothing has changed."""
        ...

    def follow_host(self) -> None:
        """Look whether the host asks other name servers by now; cheap where it does not."""
        ...

    def renamed(self, definition: Definition) -> None:
        """A running container has another name."""
        ...

    def adopt(self, definition: Definition, kept: bytes) -> None:
        """Take the address and ports of a container that runs already back into the books, from `Connected.kept`."""
        ...

    def link(self, parent: ContainerId, child: ContainerId, exposed: Iterable[str]) -> None:
        """Let `parent` reach those ports of `child` (`80/tcp`), where containers do not reach each other anyhow."""
        ...

    def unlink(self, parent: ContainerId, child: ContainerId) -> None:
        """Take that back."""
        ...

    def started(self, container: ContainerId) -> None:
        """The container's program runs: its held sockets are the monitor's now."""
        ...

    def release(self, container: ContainerId) -> None:
        """The container has ended, or its start failed: address, ports and rules are free again."""
        ...
