"""A client's graphs (LLB), as far as they name one source and nothing else; and the one that stands for a result. Pure.

Each operation is a message by itself, told by its digest; the last has no operation, and its one input is the result.
"""

import hashlib
from collections.abc import Mapping

from google.protobuf.message import DecodeError

from sampan.buildkit.origins import MADE, Image, Origin, source_origin
from sampan.buildkit.protocol import operations_pb2 as operations
from sampan.errors import InvalidParameter, NotImplementedHere

_LLB = "not implemented by Sampan yet: builds of a client's own graph (LLB): only one that names a source is read; use a Dockerfile"
_OPERATIONS = 2
_IDENTIFIER_LIMIT = 4096


def origin_of(definition: operations.Definition) -> Origin:
    """The source that the graph names; an empty graph is `scratch`.

    Raises NotImplementedHere for a graph that does something, InvalidParameter for one that is none.
    """
    if not definition.ByteSize() or not getattr(definition, "def"):
        return Image("scratch")
    given: list[bytes] = list(getattr(definition, "def"))
    if len(given) > _OPERATIONS:
        raise NotImplementedHere(_LLB)
    read = [_operation(data) for data in given]
    last = read[-1]
    if last.WhichOneof("op") is not None or len(last.inputs) != 1:
        raise InvalidParameter("invalid LLB definition: its last operation has to have one input, and do nothing")
    sources = {digest_of_operation(data): one for data, one in zip(given[:-1], read[:-1], strict=True)}
    wanted = last.inputs[0]
    source = sources.get(wanted.digest)
    if source is None or wanted.index != 0:
        raise InvalidParameter(f"invalid LLB definition: it has no output {wanted.index} of {wanted.digest[:100]!r}")
    if source.WhichOneof("op") != "source":
        raise NotImplementedHere(_LLB)
    if source.inputs or len(source.source.identifier) > _IDENTIFIER_LIMIT:
        raise InvalidParameter("invalid LLB definition: a source has no inputs, and a name of a sensible length")
    return source_origin(source.source.identifier, source.source.attrs)


def origins_of(definitions: Mapping[str, operations.Definition]) -> dict[str, Origin]:
    """The same of each. Raises NotImplementedHere, InvalidParameter."""
    return {name: origin_of(definition) for name, definition in definitions.items()}


def result_definition(reference: str) -> operations.Definition:
    """A graph that stands for a build's result, for clients that give it to another build as its input."""
    source = operations.Op(source=operations.SourceOp(identifier=f"{MADE}://{reference}")).SerializeToString(
        deterministic=True
    )
    digest = digest_of_operation(source)
    last = operations.Op(inputs=[operations.Input(digest=digest)]).SerializeToString(deterministic=True)
    definition = operations.Definition(**{"def": [source, last]})  # type: ignore[arg-type] # a word of Python's
    for name in (digest, digest_of_operation(last)):
        definition.metadata[name].CopyFrom(operations.OpMetadata(caps={"source.image": True}))
    return definition


def digest_of_operation(data: bytes) -> str:
    """By which others name it."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def _operation(data: bytes) -> operations.Op:
    try:
        return operations.Op.FromString(data)
    except DecodeError as error:
        raise InvalidParameter(f"invalid LLB definition: {error}") from error
