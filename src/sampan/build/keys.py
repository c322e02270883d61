"""Keys: the name of what an operation makes, from its own members and the keys of its inputs. Why a key changed, by name.

A key covers the whole chain below it and every member of every operation: two builds share a result only where nothing that
could make a difference differs (CVE-2024-24557 was a key without the configuration's members). It never stands on what an
image's history claims.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import NewType

import msgspec

from sampan.build.operations import DocumentSource, EmptySource, Graph, Operation, Place
from sampan.spec.oci_image import ImageConfig

Key = NewType("Key", str)
"""`sha256:` and 64 hexadecimal digits."""

Parts = Mapping[str, str]
"""What a key is made of: digests by the name of the member or input. No value can be read from it."""

_FORM = "sampan build 1"
"""Changes when the same members come to mean something else."""


def parts(operation: Operation, inputs: Sequence[Key], content: str = "", clock: int | None = None) -> dict[str, str]:
    """What the key of an operation is made of. `content` is the digest of what a source was found to be.

    `clock` (SOURCE_DATE_EPOCH) bounds the times of what an operation writes.
    """
    found = {"form": _FORM, "kind": str(type(operation).__struct_config__.tag)}
    found.update({name: _digest(_canonical(value)) for name, value in _members(operation)})
    found.update({f"input {number}": key for number, key in enumerate(inputs)})
    if content:
        found["content"] = content
    if clock is not None and inputs:
        found["clock"] = str(clock)
    return found


def _members(operation: Operation) -> Iterator[tuple[str, object]]:
    """Names and values; of an environment and a configuration what they hold one by one, so that a change has a name."""
    for name in operation.__struct_fields__:
        value = getattr(operation, name)
        if isinstance(value, ImageConfig):
            yield from ((f"{name} {member}", getattr(value, member)) for member in value.__struct_fields__)
        elif name == "environment":
            yield from ((f"{name} {entry.partition('=')[0]}", entry) for entry in value)
        else:
            yield name, value


def key_of(found: Parts) -> Key:
    """The key that parts make."""
    return Key("sha256:" + _digest(_canonical(dict(found))))


def keys(graph: Graph, contents: Mapping[Place, str], clock: int | None = None) -> list[Key | None]:
    """The key of every vertex; None for one that must not be kept, or cannot be named before a source's content is known.

    `contents` are digests by the place of a source, as far as they are known.
    """
    found: list[Key | None] = []
    for number, vertex in enumerate(graph.vertices):
        below = [found[place] for place in vertex.inputs]
        known = [key for key in below if key is not None]
        content = contents.get(Place(number), "")
        nameable = bool(content) or bool(vertex.inputs) or isinstance(vertex.operation, EmptySource | DocumentSource)
        whole = nameable and len(known) == len(below)
        found.append(key_of(parts(vertex.operation, known, content, clock)) if whole else None)
    return found


def changed(before: Parts, after: Parts) -> list[str]:
    """The names of what differs: why a step that was kept is not used."""
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def _canonical(value: object) -> bytes:
    """One spelling for equal values: members in their order, names of mappings sorted."""
    return msgspec.json.encode(value, order="deterministic")


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
