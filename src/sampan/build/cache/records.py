"""What the cache knows of one operation's result, and what a builder hands in to have it kept."""

from collections.abc import Mapping, Sequence
from enum import StrEnum

import msgspec

from sampan.build.keys import Key, Parts, parts
from sampan.build.operations import (
    ContextSource,
    GitSource,
    Graph,
    HostSource,
    ImageSource,
    Operation,
    Place,
    UrlSource,
)
from sampan.images.catalog import LayerRecord
from sampan.images.ledger import stacked
from sampan.spec.ids import ChainId

_SHORT = 16
"""Hexadecimal digits of a part that are kept: enough to see a change, too few to be a name."""
_IDENTITY = 25
"""Length of a record's id, as of BuildKit's."""


class Kind(StrEnum):
    """BuildKit's types of records, by which Docker's clients filter."""

    REGULAR = "regular"
    LOCAL = "source.local"
    GIT = "source.git.checkout"
    HTTP = "source.http"
    MOUNT = "exec.cachemount"
    INTERNAL = "internal"


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What an operation made. `layers`: the whole stack, the lowest first; the topmost `own` of them are its own work.

    A source whose tree is no stack of layers (files of the context) is kept with none, for explanations. `listing`: digests of
    its files by name, as far as somebody knows them. `number` counts the vertices of a stage.
    """

    layers: tuple[LayerRecord, ...] = ()
    own: int = 0
    kind: Kind = Kind.REGULAR
    operation: str = ""
    stage: str = ""
    number: int = 0
    text: str = ""
    parts: Mapping[str, str] = {}
    inputs: tuple[Key, ...] = ()
    listing: Mapping[str, str] = {}

    @property
    def chains(self) -> tuple[ChainId, ...]:
        """The names of the layers of its stack, the lowest first."""
        return stacked(layer.diff_id for layer in self.layers)

    @property
    def chain(self) -> ChainId | None:
        """What a container of its tree stands on; None for a tree with nothing in it."""
        return self.chains[-1] if self.layers else None

    @property
    def needs(self) -> frozenset[str]:
        """Layers and blobs that must stay as long as it does."""
        return frozenset({*self.chains, *(layer.blob for layer in self.layers)})


class Record(Entry, frozen=True, kw_only=True):
    """An entry that is kept. `created`, `used`: nanoseconds since the epoch; `uses`: how often it was found.

    `size`: bytes of the files in its own layers.
    """

    created: int
    used: int
    uses: int = 0
    size: int = 0


def identity(key: Key) -> str:
    """What the record is called in lists."""
    return key.removeprefix("sha256:")[:_IDENTITY]


def entry(
    graph: Graph,
    place: Place,
    keys: Sequence[Key | None],
    contents: Mapping[Place, str],
    layers: Sequence[LayerRecord] = (),
    own: int = 0,
    listing: Mapping[str, str] | None = None,
) -> Entry:
    """What the vertex at `place` made, as the cache keeps it. `keys` and `contents` are those of `build.keys.keys`."""
    vertex = graph.vertices[place]
    below = [key for key in (keys[one] for one in vertex.inputs) if key is not None]
    before = graph.vertices[:place]
    return Entry(
        layers=tuple(layers),
        own=own,
        kind=_kind(vertex.operation),
        operation=str(type(vertex.operation).__struct_config__.tag),
        stage=vertex.stage,
        number=sum(1 for other in before if other.stage == vertex.stage),
        text=vertex.text,
        parts=shortened(parts(vertex.operation, below, contents.get(place, ""))),
        inputs=tuple(below),
        listing=listing or {},
    )


def shortened(found: Parts) -> dict[str, str]:
    """Parts as they are kept: enough of each to see that it changed."""
    return {name: value.removeprefix("sha256:")[:_SHORT] for name, value in found.items()}


def _kind(operation: Operation) -> Kind:
    match operation:
        case ContextSource():
            return Kind.LOCAL
        case GitSource():
            return Kind.GIT
        case UrlSource():
            return Kind.HTTP
        case ImageSource() | HostSource():
            return Kind.INTERNAL
        case _:
            return Kind.REGULAR
