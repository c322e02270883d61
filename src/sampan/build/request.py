"""What a build is asked for, and what it made: data only. Every front end makes one, the solver knows no other.

Values of secrets are in here and in no key, no log and no record.
"""

from collections.abc import Mapping

import msgspec

from sampan.build.operations import Graph, Place
from sampan.build.planning import Wish
from sampan.build.tree.context import Context
from sampan.errors import InvalidParameter
from sampan.images.catalog import LayerRecord
from sampan.registry.protocol import Credentials
from sampan.spec.host_config import Resources, Ulimit
from sampan.spec.ids import ImageId

SECRET_LIMIT = 500 * 1024
"""bytes of one secret, as BuildKit has it"""
_LONGEST_CLOCK = 11


def clock_of(text: str) -> int | None:
    """What SOURCE_DATE_EPOCH says: seconds; None where it says nothing. Raises InvalidParameter."""
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= _LONGEST_CLOCK):
        raise InvalidParameter(f"invalid SOURCE_DATE_EPOCH: {text[:100]}")
    return int(text)


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
    """One `--cache-from` or `--cache-to`: `type` inline, registry, local or image (what the classic call means by a name)."""

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
    """OCI annotations, `manifest:KEY`, `index:KEY` …, for every output that has them"""
    run: RunSettings = RunSettings()
    secrets: Mapping[str, bytes] = {}
    entitlements: tuple[str, ...] = ()
    """what is allowed beyond the usual: `security.insecure` for `RUN --security=insecure`"""
    ssh: Mapping[str, str] = {}
    """an agent's socket, by the id that mounts name"""
    credentials: Mapping[str, Credentials] = {}
    clock: int | None = None
    """SOURCE_DATE_EPOCH: seconds; no file of a layer, and no image, is younger"""


class Built(msgspec.Struct, frozen=True):
    """What came of it. `names` are the tags that were given, in their familiar form; `layers` the lowest first."""

    image: ImageId
    names: tuple[str, ...]
    layers: tuple[LayerRecord, ...]
    base: ImageId | None
    """the image that it stands on; None for scratch"""
    graph: Graph
    contents: Mapping[Place, str]
    """what was found in the graph's sources"""
