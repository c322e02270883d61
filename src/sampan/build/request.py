"""What a build is asked for, and what it made: data only. Every front end makes one, the solver knows no other.

Values of secrets are in here and in no key, no log and no record.
"""

from collections.abc import Mapping

import msgspec

from sampan.build.entitlements import Entitlement
from sampan.build.operations import Graph, Place
from sampan.build.planning import Wish
from sampan.build.tree.context import Context
from sampan.dockerfile.arguments import Machines
from sampan.errors import InvalidParameter
from sampan.images.catalog import LayerRecord
from sampan.registry.protocol import Credentials, Repository
from sampan.spec.host_config import Resources, Ulimit
from sampan.spec.ids import ImageId
from sampan.spec.oci_image import Descriptor, Platform

SECRET_LIMIT = 500 * 1024
"""bytes of one secret, as BuildKit has it"""
_LONGEST_CLOCK = 11
_YES = ("1", "t", "T", "true", "TRUE", "True")
_NO = ("", "0", "f", "F", "false", "FALSE", "False")


def clock_of(text: str) -> int | None:
    """What SOURCE_DATE_EPOCH says: seconds; None where it says nothing. Raises InvalidParameter."""
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= _LONGEST_CLOCK):
        raise InvalidParameter(f"invalid SOURCE_DATE_EPOCH: {text[:100]}")
    return int(text)


def indexed_of(arguments: Mapping[str, str]) -> bool:
    """What BUILDKIT_MULTI_PLATFORM says. Raises InvalidParameter."""
    text = arguments.get("BUILDKIT_MULTI_PLATFORM", "")
    if text not in (*_YES, *_NO):
        raise InvalidParameter(f"invalid boolean value for BUILDKIT_MULTI_PLATFORM: {text[:100]}")
    return text in _YES


class RunSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What every RUN gets that is no input of it: none of this is in a key, as in Docker."""

    resources: Resources = Resources()
    cgroup_parent: str = ""
    shm_size: int = 0
    """bytes; 0: the daemon's default"""
    ulimits: tuple[Ulimit, ...] = ()
    extra_hosts: tuple[str, ...] = ()
    """NAME:ADDRESS"""
    network: str = "default"
    """where RUN says no other: default, none, host or the name of a network"""


class CacheOption(msgspec.Struct, frozen=True):
    """One `--cache-from` or `--cache-to`: `type` inline, registry, local, client or image (what the classic call means by a name).

    `client`: in one of the request's `stores`.
    """

    type: str
    attributes: Mapping[str, str] = {}


class Output(msgspec.Struct, frozen=True):
    """One `--output`: `type` image, docker, oci, local or tar."""

    type: str
    attributes: Mapping[str, str] = {}


class BuildRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One build. `dockerfile` is the text, `file` what messages call it.

    `contexts`: by name; the build's own is called `context`. `credentials` by registry host, as X-Registry-Config has them.
    """

    dockerfile: str
    file: str = "Dockerfile"
    wish: Wish
    platforms: tuple[Platform, ...] = ()
    """what it is built for, each once; empty: the wish's target alone"""
    indexed: bool = False
    """the result is an index, also where it is for one platform alone (`multi-platform=true`)"""
    contexts: Mapping[str, Context] = {}
    names: tuple[str, ...] = ()
    """what the image is to be called"""
    pull: bool = False
    no_cache: bool = False
    no_cache_filter: tuple[str, ...] = ()
    """stages whose steps are not taken from the cache"""
    cache_from: tuple[CacheOption, ...] = ()
    cache_to: tuple[CacheOption, ...] = ()
    outputs: tuple[Output, ...] = ()
    squash: bool = False
    attests: Mapping[str, str] = {}
    """sbom, provenance: with the words behind them"""
    annotations: Mapping[str, str] = {}
    """OCI annotations, `manifest:KEY`, `index:KEY`, `manifest[linux/arm64]:KEY` …, for every output that has them"""
    run: RunSettings = RunSettings()
    secrets: Mapping[str, bytes] = {}
    allowed: frozenset[Entitlement] = frozenset()
    authorizations: Mapping[str, str] = {}
    """HTTP's header for git, by the repository's host; "" stands for every other"""
    ssh: Mapping[str, str] = {}
    """an agent's socket, by the id that mounts name"""
    credentials: Mapping[str, Credentials] = {}
    stores: Mapping[str, Repository] = {}
    """of the client, for caches that lie there"""
    clock: int | None = None
    """SOURCE_DATE_EPOCH: seconds; no file of a layer, and no image, is younger"""

    @property
    def wishes(self) -> tuple[Wish, ...]:
        """What is wished for each platform."""
        if not self.platforms:
            return (self.wish,)
        machines = [Machines(self.wish.machines.build, platform) for platform in self.platforms]
        return tuple(msgspec.structs.replace(self.wish, machines=one) for one in machines)

    @property
    def several(self) -> bool:
        """Whether what comes of it is told by platform: an index, directories."""
        return self.indexed or len(self.platforms) > 1


class BuiltImage(msgspec.Struct, frozen=True):
    """The image of one platform; `layers` the lowest first."""

    platform: Platform
    image: ImageId
    layers: tuple[LayerRecord, ...]
    base: ImageId | None
    """the image that it stands on; None for scratch"""


class Built(msgspec.Struct, frozen=True):
    """What came of it: an image for each platform, in the order of the request.

    `names` are the tags that were given, in their familiar form. They name `main`.
    """

    images: tuple[BuiltImage, ...]
    main: BuiltImage
    """this machine's, where it is among them, else the first"""
    names: tuple[str, ...]
    graph: Graph
    contents: Mapping[Place, str]
    """what was found in the graph's sources"""
    manifest: Descriptor | None = None
    """the manifest or index of the images, where one was made: what a registry knows it by"""
    cache: Descriptor | None = None
    """the manifest of the cache that was sent to the client"""

    @property
    def digest(self) -> str:
        """What the result is called by digest."""
        return self.manifest.digest if self.manifest is not None else self.main.image
