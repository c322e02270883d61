"""What all documents are made of."""

from typing import Annotated

import msgspec

Unsigned32 = Annotated[int, msgspec.Meta(ge=0, le=0xFFFFFFFF)]
Unsigned64 = Annotated[int, msgspec.Meta(ge=0)]


class Struct(msgspec.Struct, rename="camel", frozen=True, kw_only=True):
    """Base: camelCase on the wire, immutable."""


class IdMapping(Struct, frozen=True):
    """A row of a user namespace's map, or of an idmapped mount's: there `container_id` is on the disk and `host_id` what shows."""

    container_id: Unsigned32 = msgspec.field(name="containerID")
    host_id: Unsigned32 = msgspec.field(name="hostID")
    size: Unsigned32
