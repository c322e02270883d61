"""What a container was created as: its record in the state, written at create, rename and update, never in between."""

import msgspec

from sampan.daemon.mount_words import MountPoint
from sampan.daemon.states import State
from sampan.spec.containers import ContainerConfig
from sampan.spec.host_config import HostConfig
from sampan.spec.ids import ContainerId, ImageId
from sampan.spec.networks import EndpointSettings
from sampan.spec.user_maps import UserMaps

DEFINITIONS = "containers"
"""Table of definitions by id."""
STATES = "container-states"
"""Table of states by id: small, so that a start or an exit writes little."""

HEALTH = "container-health"
"""Table of what is known of the health of containers that are checked, by id."""

ENDPOINTS = "container-endpoints"
"""Table of where running containers stand in their networks, by id: what a new daemon adopts."""


class Link(msgspec.Struct, frozen=True):
    """A legacy link to another container, `name` at the time: see `links`."""

    child: ContainerId
    name: str
    alias: str


class Definition(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One container as it was asked for, with the image's settings merged in.

    `image` is what the request called it, `image_id` what that meant then. `path` and `args` are what is executed.
    """

    id: ContainerId
    name: str
    created_ns: int
    image: str
    image_id: ImageId | None
    config: ContainerConfig
    host: HostConfig
    path: str
    args: tuple[str, ...] = ()
    mounts: tuple[MountPoint, ...] = ()
    endpoints: dict[str, EndpointSettings] = {}
    """networks by name or id, with what is asked of each; none means that of the network mode, unless it was `unplugged`"""
    unplugged: bool = False
    driver: str = ""
    platform: str = "linux"
    links: tuple[Link, ...] = ()
    users: UserMaps | None = None
    """the maps of its user namespace, the same at each start; None where its users are the host's"""


_encoder = msgspec.json.Encoder()
_definitions = msgspec.json.Decoder(Definition)
_states = msgspec.json.Decoder(State)


def encode(record: Definition | State) -> bytes:
    """A record as it is stored."""
    return _encoder.encode(record)


def decode_definition(data: bytes) -> Definition:
    """A stored definition. Raises msgspec.ValidationError, DecodeError for what this program did not write."""
    return _definitions.decode(data)


def decode_state(data: bytes) -> State:
    """A stored state."""
    return _states.decode(data)
