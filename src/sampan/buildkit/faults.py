"""A failed build as BuildKit's clients are told of it: gRPC's status, with the place in the Dockerfile as a detail."""

import base64

from grpclib.const import Status

from sampan.buildkit.connections import Detail
from sampan.dockerfile.faults import Range
from sampan.errors import (
    Conflict,
    Forbidden,
    InvalidParameter,
    NotFound,
    NotImplementedHere,
    SampanError,
    Unauthorized,
    Unavailable,
)

_SOURCE = "github.com/moby/buildkit/errdefs.Source+json"
_STATUS = (
    (NotImplementedHere, Status.UNIMPLEMENTED),
    (NotFound, Status.NOT_FOUND),
    (Conflict, Status.ALREADY_EXISTS),
    (Unauthorized, Status.UNAUTHENTICATED),
    (Forbidden, Status.PERMISSION_DENIED),
    (Unavailable, Status.UNAVAILABLE),
    (InvalidParameter, Status.INVALID_ARGUMENT),
)
_TEXT_LIMIT = 1800
"""Bytes of a Dockerfile that go along whole; of a longer one only the lines that are shown."""
_AROUND = 4


def command_failed(arguments: tuple[str, ...], code: int) -> str:
    """BuildKit's words for a RUN that failed."""
    return f'process "{" ".join(arguments)}" did not complete successfully: exit code: {code}'


def status_of(error: SampanError | OSError) -> Status:
    """The kind, in gRPC's terms."""
    for kind, status in _STATUS:
        if isinstance(error, kind):
            return status
    return Status.UNKNOWN


def source_detail(file: str, text: str, at: Range) -> Detail:
    """Where in the Dockerfile. Lines before and behind those that a client shows are blank where the whole is too long."""
    lines = text.split("\n")
    if len(text.encode()) > _TEXT_LIMIT:
        first, last = max(at.start.line - 1 - _AROUND, 0), at.end.line + _AROUND
        shown = [line[:200] if first <= number < last else "" for number, line in enumerate(lines[:last])]
        text = "\n".join(shown)
    data = base64.b64encode(text.encode()).decode()
    ends = {"start": _position(at.start.line), "end": _position(at.end.line)}
    return _SOURCE, {"info": {"filename": file, "data": data, "language": "Dockerfile"}, "ranges": [ends]}


def _position(line: int) -> dict[str, object]:
    return {"line": line}
