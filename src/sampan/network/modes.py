"""What `--network` may say, as data."""

from dataclasses import dataclass
from enum import StrEnum

from sampan.errors import InvalidParameter


class ModeKind(StrEnum):
    """Where a container's network namespace comes from."""

    BRIDGE = "bridge"
    HOST = "host"
    NONE = "none"
    CONTAINER = "container"
    NETWORK = "network"


@dataclass(frozen=True, slots=True)
class Mode:
    """`container` is the name or id of the container whose namespace is joined, `network` that of a network of a user's own."""

    kind: ModeKind
    container: str = ""
    network: str = ""


def parse_mode(text: str) -> Mode:
    """HostConfig.NetworkMode. Any other word names a network of a user's own, whether or not there is one."""
    if text in ("", "default", "bridge"):
        return Mode(ModeKind.BRIDGE)
    if text in ("host", "none"):
        return Mode(ModeKind(text))
    first, colon, name = text.partition(":")
    if first == "container":
        if not colon or not name:
            raise InvalidParameter("invalid network mode: invalid container format container:<name|id>")
        return Mode(ModeKind.CONTAINER, name)
    return Mode(ModeKind.NETWORK, network=text)
