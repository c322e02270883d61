"""Caches as they travel: BuildKit's `moby.buildkit.cache.v0`, written so that BuildKit reads it, read with nothing believed.

    layers    blob, the one below it (-1: none), diff id, size       a forest
    records   digest of a key ─▶ its topmost layer; the records that it was made from

Our keys stand in it as the digests of records. BuildKit's own digests mean something else, so of its caches nothing is found
here, nor of ours there; the layers that they name can be read by either.
"""

import base64
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated

import msgspec

from sampan.build.cache.records import Record
from sampan.build.keys import Key
from sampan.errors import InvalidParameter
from sampan.images.times import epoch_of
from sampan.spec.ids import DiffId, parse_digest
from sampan.spec.oci_image import Descriptor, decode

CONFIG = "application/vnd.buildkit.cacheconfig.v0"
DIFF_ID = "containerd.io/uncompressed"
CONFIG_LIMIT = 8 << 20
_LAYERS = 100_000
_DEPTH = 10_000

_Index = Annotated[int, msgspec.Meta(ge=0, le=_LAYERS)]


class _Annotations(
    msgspec.Struct, frozen=True, omit_defaults=True, rename={"media_type": "mediaType", "diff_id": "diffID"}
):
    media_type: str = ""
    diff_id: str = ""
    size: int = 0


class _Layer(msgspec.Struct, frozen=True, omit_defaults=True):
    """`parent` 0 is the first layer, as in Go, where it is left out."""

    blob: str = ""
    parent: Annotated[int, msgspec.Meta(ge=-1, le=_LAYERS)] = 0
    annotations: _Annotations | None = None


class _Result(msgspec.Struct, frozen=True, rename={"created": "createdAt"}):
    layer: _Index
    created: str = "0001-01-01T00:00:00Z"


class _Chained(msgspec.Struct, frozen=True):
    layers: list[_Index] = []


class _Input(msgspec.Struct, frozen=True):
    link: _Index = 0


class _Record(msgspec.Struct, frozen=True, omit_defaults=True):
    digest: str = ""
    layers: list[_Result] = []
    chains: list[_Chained] = []
    inputs: list[list[_Input]] = []


class _Config(msgspec.Struct, frozen=True, omit_defaults=True):
    layers: list[_Layer] = []
    records: list[_Record] = []


class Layers(msgspec.Struct, frozen=True):
    """A stack as it lies elsewhere, the lowest first."""

    blobs: tuple[Descriptor, ...]
    diff_ids: tuple[DiffId, ...]
    own: int = 1
    """how many of the topmost are the step's own: none where what it stands on is the same stack"""
    created: int = 0
    """nanoseconds since the epoch; 0 where it is not told"""


Found = Mapping[Key, Layers]


def write(records: Mapping[Key, Record], packed: Mapping[str, Descriptor]) -> tuple[bytes, list[Descriptor]]:
    """The configuration of a cache of these records, and the layers that belong to it. `packed`: what travels, by diff id."""
    layers: list[_Layer] = []
    descriptors: list[Descriptor] = []
    places: dict[str, int] = {}
    tops: dict[Key, int] = {}
    for key in sorted(records):
        top = -1
        for chain, layer in zip(records[key].chains, records[key].layers, strict=True):
            if chain not in places:
                described = packed[layer.diff_id]
                told = _Annotations(described.media_type, layer.diff_id, described.size)
                places[chain] = len(layers)
                layers.append(_Layer(described.digest, top, told))
                descriptors.append(msgspec.structs.replace(described, annotations={DIFF_ID: layer.diff_id}))
            top = places[chain]
        tops[key] = top
    config = _Config(layers, _records(records, tops))
    distinct = {one.digest: one for one in descriptors}
    return msgspec.json.encode(config), list(distinct.values())


def write_inline(records: Mapping[Key, Record], image: Sequence[str]) -> str:
    """Records for an image's own configuration, whose layers are the image's (diff ids, the lowest first).

    Only those that stand on nothing but a beginning of the image's layers; "" where there is none.
    """
    tops: dict[Key, int] = {}
    for key, record in records.items():
        count = len(record.layers)
        if count and [layer.diff_id for layer in record.layers] == list(image[:count]):
            tops[key] = count - 1
    kept = {key: record for key, record in records.items() if key in tops}
    return base64.b64encode(msgspec.json.encode(_records(kept, tops))).decode() if kept else ""


def _records(records: Mapping[Key, Record], tops: Mapping[Key, int]) -> list[_Record]:
    """Inputs that are no record of the cache are left out: of them nothing could be had."""
    order = sorted(records)
    numbers = {key: number for number, key in enumerate(order)}
    return [
        _Record(
            digest=key,
            layers=[_Result(tops[key], _moment(records[key].created))] if tops[key] >= 0 else [],
            inputs=[[_Input(numbers[one])] for one in records[key].inputs if one in numbers],
        )
        for key in order
    ]


def _moment(nanoseconds: int) -> str:
    seconds, rest = divmod(nanoseconds, 10**9)
    fraction = f".{rest:09d}".rstrip("0") if rest else ""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + fraction + "Z"


def read(data: bytes, blobs: Mapping[str, Descriptor]) -> Found:
    """What a configuration names, as far as its layers are among `blobs`, by digest. Raises InvalidParameter."""
    config = decode(data, _Config, "the cache's configuration", CONFIG_LIMIT)
    return _read(config, blobs)


def read_inline(text: str, layers: Sequence[Descriptor], diff_ids: Sequence[str]) -> Found:
    """What an image's own cache names. Raises InvalidParameter."""
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise InvalidParameter(f"the image's cache is malformed: {error}") from error
    records = decode(data, list[_Record], "the image's cache", CONFIG_LIMIT)
    if len(layers) != len(diff_ids):
        raise InvalidParameter("layers from manifest don't match image configuration")
    forest = [
        _Layer(layer.digest, number - 1, _Annotations(layer.media_type, diff_id, layer.size))
        for number, (layer, diff_id) in enumerate(zip(layers, diff_ids, strict=True))
    ]
    return _read(_Config(forest, records), {layer.digest: layer for layer in layers})


def _read(config: _Config, blobs: Mapping[str, Descriptor]) -> Found:
    if len(config.layers) > _LAYERS:
        raise InvalidParameter(f"the cache has more than {_LAYERS} layers")
    found: dict[Key, Layers] = {}
    tops = [{result.layer for result in record.layers} for record in config.records]
    for number, record in enumerate(config.records):
        below = {top for links in record.inputs for link in links for top in _of(tops, link.link)}
        orders = [_down(config.layers, result.layer) for result in record.layers]
        orders += [chained.layers for chained in record.chains]
        stacks = (_stack(config.layers, order, blobs) for order in orders)
        stack = next((one for one in stacks if one is not None), None)
        if stack is not None:
            own = 0 if tops[number] & below or not stack.blobs else 1
            created = _created(record.layers[0].created) if record.layers else 0
            found[Key(parse_digest(record.digest))] = msgspec.structs.replace(stack, own=own, created=created)
    return found


def _created(text: str) -> int:
    try:
        return max(epoch_of(text, datetime.now(UTC)), 0)
    except InvalidParameter:
        return 0  # somebody else's cache may say nonsense about its age


def _of(tops: Sequence[set[int]], number: int) -> set[int]:
    if number >= len(tops):
        raise InvalidParameter("the cache's records were made from records that are not there")
    return tops[number]


def _down(layers: Sequence[_Layer], top: int) -> list[int]:
    """The places of a stack, the lowest first. Raises InvalidParameter for one that never ends."""
    places: list[int] = []
    while top >= 0:
        if top >= len(layers) or len(places) >= _DEPTH:
            raise InvalidParameter("the cache's layers stand on layers that are not there, or on each other")
        places.append(top)
        top = layers[top].parent
    return places[::-1]


def _stack(layers: Sequence[_Layer], places: Sequence[int], blobs: Mapping[str, Descriptor]) -> Layers | None:
    """None where a layer's blob is not listed, or nothing says what it is when unpacked."""
    found: list[Descriptor] = []
    diff_ids: list[DiffId] = []
    for place in places:
        if place >= len(layers):
            raise InvalidParameter("the cache's records name layers that are not there")
        layer = layers[place]
        described = blobs.get(layer.blob)
        diff_id = layer.annotations.diff_id if layer.annotations else ""
        if described is not None:
            diff_id = diff_id or (described.annotations or {}).get(DIFF_ID, "")
        if described is None or not diff_id:
            return None
        parse_digest(described.digest)
        found.append(described)
        diff_ids.append(DiffId(parse_digest(diff_id)))
    return Layers(tuple(found), tuple(diff_ids))
