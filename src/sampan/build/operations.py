"""What a build does, as data. Each operation makes a file tree of those that are its inputs; sources have none.

An input is the place of another vertex in `Graph.vertices`; places only point backwards, so a graph has no circle.
"""

from collections.abc import Mapping
from typing import NewType

import msgspec

from sampan.dockerfile.faults import Range
from sampan.spec.oci_image import ImageConfig, Platform

Place = NewType("Place", int)
"""Of a vertex in its graph."""


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that has influence on the result beside the inputs' trees: an operation's key is made of all its members."""


class ImageSource(Operation, frozen=True, kw_only=True, tag="image"):
    """The tree of an image. What the reference means is content: the image's id."""

    reference: str
    platform: str


class EmptySource(Operation, frozen=True, kw_only=True, tag="empty"):
    """`FROM scratch`: a tree with nothing in it."""


class HostSource(Operation, frozen=True, kw_only=True, tag="host"):
    """`FROM host`: this machine's own tree, which changes without notice. It has no content key: nothing above it is kept."""


class ContextSource(Operation, frozen=True, kw_only=True, tag="context"):
    """The files of a context that one COPY or ADD selects. Content: the digest over exactly these.

    `name`: of a named context, "" for the build's own.
    """

    paths: tuple[str, ...]
    excludes: tuple[str, ...] = ()
    parents: bool = False
    name: str = ""


class DocumentSource(Operation, frozen=True, kw_only=True, tag="documents"):
    """Files that stand in the Dockerfile: name and content, variables put in."""

    files: tuple[tuple[str, str], ...]


class UrlSource(Operation, frozen=True, kw_only=True, tag="url"):
    """A file behind a URL. With a `checksum` that is its content; without, it is what a server says of it."""

    url: str
    checksum: str = ""


class GitSource(Operation, frozen=True, kw_only=True, tag="git"):
    """A commit of a repository. Content: the commit's id."""

    repository: str
    reference: str = ""
    directory: str = ""
    checksum: str = ""
    keep_git_dir: bool = False
    submodules: bool = True


class RunMount(msgspec.Struct, frozen=True, kw_only=True):
    """A mount of a RUN. `input` counts in the vertex's inputs; -1 for one of no tree: tmpfs, secret, ssh, a cache of its own."""

    type: str
    target: str
    input: int = -1
    source: str = ""
    read_only: bool = True
    size: int = 0
    identity: str = ""
    sharing: str = ""
    required: bool = False
    variable: str | None = None
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None


class Run(Operation, frozen=True, kw_only=True, tag="run"):
    """Run a program on input 0. `script`: a heredoc that is a program itself, seen as `/dev/pipes/NAME`.

    Not here, for they are no input: proxies, the values of secrets, limits.
    """

    arguments: tuple[str, ...]
    environment: tuple[str, ...]
    directory: str
    user: str
    network: str
    security: str
    mounts: tuple[RunMount, ...] = ()
    script: tuple[str, str] | None = None


class Copy(Operation, frozen=True, kw_only=True, tag="copy"):
    """Put files of the inputs behind the first into input 0. `paths[n]` are those of input n + 1, in their order.

    `unpack` None: archives from the context are unpacked, files from URLs are not; COPY says False.
    """

    paths: tuple[tuple[str, ...], ...]
    destination: str
    """absolute; a slash at its end means a directory"""
    chown: str = ""
    chmod: str = ""
    link: bool = False
    parents: bool = False
    excludes: tuple[str, ...] = ()
    unpack: bool | None = False


class MakeDirectory(Operation, frozen=True, kw_only=True, tag="directory"):
    """WORKDIR: a directory in input 0, where there is none, of the user that steps run as."""

    path: str
    user: str


class Metadata(Operation, frozen=True, kw_only=True, tag="metadata"):
    """An image: the tree of input 0, a configuration and how each came to be."""

    config: ImageConfig
    author: str = ""
    history: tuple[str, ...] = ()


class Vertex(msgspec.Struct, frozen=True):
    """An operation with its inputs. `stage`, `text` and `at` tell a reader where it comes from; they are in no key."""

    operation: Operation
    inputs: tuple[Place, ...]
    stage: str
    text: str
    at: Range


class Step(msgspec.Struct, frozen=True):
    """An instruction as it is reported: the tree it leaves, and the configuration of the image if the stage ended here."""

    text: str
    at: Range
    tree: Place
    config: ImageConfig


class Entry(msgspec.Struct, frozen=True):
    """An entry of the image's history. `tree` is the vertex that the instruction made; None where it changed no file."""

    text: str
    tree: Place | None = None


class Target(msgspec.Struct, frozen=True):
    """What is to become of a graph, for one platform. `result` is the place of its Metadata; `steps` by stage, in the file's order.

    `history`: what is added to that of the image at the bottom.
    """

    platform: Platform
    result: Place
    steps: Mapping[str, tuple[Step, ...]]
    history: tuple[Entry, ...] = ()


class Graph(msgspec.Struct, frozen=True):
    """What its targets need and no more: one for each platform. What two of them have in common is there once."""

    vertices: tuple[Vertex, ...]
    targets: tuple[Target, ...]

    def below(self, place: Place) -> list[Place]:
        """A vertex and all that goes into it, in the graph's order."""
        found = {place}
        for number in range(place, -1, -1):
            if number in found:
                found.update(self.vertices[number].inputs)
        return sorted(found)

    def bottom(self, place: Place) -> Operation:
        """The source that the tree of a vertex stands on."""
        while self.vertices[place].inputs:
            place = self.vertices[place].inputs[0]
        return self.vertices[place].operation

    @property
    def sources(self) -> dict[Place, Vertex]:
        """The vertices whose content must be looked at."""
        looked_at = ImageSource | HostSource | ContextSource | UrlSource | GitSource
        return {
            Place(place): vertex
            for place, vertex in enumerate(self.vertices)
            if isinstance(vertex.operation, looked_at)
        }
