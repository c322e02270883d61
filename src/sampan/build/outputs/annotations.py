"""OCI annotations by the level that they go to, and by platform: as attributes of an output, and as `--annotation` writes them.

manifest              in the manifest of an image            annotation.KEY, annotation-manifest[linux/arm64].KEY
manifest-descriptor   beside it, in the index                annotation-manifest-descriptor.KEY
index                 in the index                           annotation-index.KEY
index-descriptor      beside that, in an OCI layout's list   annotation-index-descriptor.KEY

https://docs.docker.com/build/metadata/annotations; names as in BuildKit's exporter/containerimage/exptypes.
"""

import re
from collections.abc import Iterable, Mapping

import msgspec

from sampan.errors import InvalidParameter
from sampan.images.platforms import parse_platform, shown
from sampan.spec.oci_image import Platform

_LEVELS = ("manifest", "index", "manifest-descriptor", "index-descriptor")
_ATTRIBUTE = re.compile(r"annotation(?:-([a-z-]+))?(?:\[([A-Za-z0-9_/-]+)\])?\.(\S+)\Z")
_LEVEL = re.compile(r"([a-z-]+)(?:\[([A-Za-z0-9_/-]+)\])?\Z")
_ALL = ""

Pairs = Mapping[str, str]


class Annotations(msgspec.Struct, frozen=True):
    """By where they go. Those of manifests and their descriptors by platform (`linux/arm64`), "" for all."""

    manifests: Mapping[str, Pairs] = {}
    index: Pairs = {}
    manifest_descriptors: Mapping[str, Pairs] = {}
    index_descriptor: Pairs = {}

    def manifest(self, platform: Platform) -> dict[str, str]:
        """Those of the image for that platform."""
        return {**self.manifests.get(_ALL, {}), **self.manifests.get(shown(platform), {})}

    def manifest_descriptor(self, platform: Platform) -> dict[str, str]:
        """Those beside it in the index."""
        return {**self.manifest_descriptors.get(_ALL, {}), **self.manifest_descriptors.get(shown(platform), {})}

    def joined(self, other: "Annotations") -> "Annotations":
        """With those of `other`, which count more."""
        return Annotations(
            _joined(self.manifests, other.manifests),
            {**self.index, **other.index},
            _joined(self.manifest_descriptors, other.manifest_descriptors),
            {**self.index_descriptor, **other.index_descriptor},
        )

    def check(self, platforms: Iterable[Platform], *, indexed: bool) -> None:
        """Each must have its place: a platform that is built for, an index that is made. Raises InvalidParameter, as BuildKit."""
        known = {_ALL, *(shown(platform) for platform in platforms)}
        for name in sorted({*self.manifests, *self.manifest_descriptors} - known):
            raise InvalidParameter(f"invalid annotation: no platform {name} found in source")
        if not indexed and (self.index or self.index_descriptor):
            raise InvalidParameter("index annotations not supported for single platform export")


def _joined(one: Mapping[str, Pairs], other: Mapping[str, Pairs]) -> dict[str, Pairs]:
    return {name: {**one.get(name, {}), **other.get(name, {})} for name in (*one, *other)}


def taken(attributes: dict[str, str]) -> Annotations:
    """`annotation[-LEVEL][[PLATFORM]].KEY` of an output's attributes, which loses them. Raises InvalidParameter."""
    found = Annotations()
    for name in [name for name in attributes if name.startswith("annotation")]:
        match = _ATTRIBUTE.match(name)
        if match is None or (match[1] or "manifest") not in _LEVELS:
            raise InvalidParameter(f"invalid annotation {name}: annotation[-TYPE][[PLATFORM]].KEY is expected")
        found = found.joined(_one(match[1] or "manifest", match[2] or "", match[3], attributes.pop(name)))
    return found


def read(given: Pairs) -> Annotations:
    """`[LEVEL[[PLATFORM]],…:]KEY`, as `--annotation` has them; a key alone is the manifest's. Raises InvalidParameter."""
    found = Annotations()
    for name, value in given.items():
        levels, colon, key = name.partition(":")
        if not colon:
            levels, key = "manifest", name
        for level in levels.split(","):
            match = _LEVEL.match(level)
            if match is None or not key:
                raise InvalidParameter(
                    f"invalid annotation type {level!r} in {name!r}: TYPE[[PLATFORM]]:KEY is expected"
                )
            if match[1] not in _LEVELS:
                raise InvalidParameter(f"unknown annotation type {match[1]!r}: it is one of {', '.join(_LEVELS)}")
            found = found.joined(_one(match[1], match[2] or "", key, value))
    return found


def _one(level: str, platform: str, key: str, value: str) -> Annotations:
    of = shown(parse_platform(platform)) if platform else _ALL
    pair = {key: value}
    match level:
        case "manifest":
            return Annotations(manifests={of: pair})
        case "manifest-descriptor":
            return Annotations(manifest_descriptors={of: pair})
        case "index":
            return Annotations(index=pair)
        case _:
            return Annotations(index_descriptor=pair)
