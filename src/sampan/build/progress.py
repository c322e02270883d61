"""What a build tells while it runs, as data: a front end shows it, the solver only tells.

    solver ── Reporter ──> Listener.tell(event) ──> `wire` ──> {"id": "sampan.build", "aux": {...}}   a line of the answer
                                              └──> lines of the classic protocol

A vertex is told when it is known, again when it starts, and once more when it has ended; each event holds all that is known of
it, so that whoever missed one has lost nothing. Events map one to one on BuildKit's Vertex, VertexStatus, VertexLog, VertexWarning.
"""

from collections.abc import Callable, Sequence
from typing import NewType, Protocol

import msgspec

Number = NewType("Number", int)
"""Of a vertex in its build, from 1; it has no other meaning. Work that is in no graph has one, too: exporting."""

STREAM = "sampan.build"
"""The `id` of a line whose `aux` is an event. The id of a line with the image's digest is Docker's own."""

LOG_PIECE = 64 * 1024
"""Bytes of a program's output in one event, at most."""


class VertexEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="vertex"):
    """All that is known of a piece of work. Times are nanoseconds since the epoch, 0 before they are known.

    `name` is what a reader sees: `[build 2/4] RUN make`, `[internal] load build context`. `why`: which input of a step that was
    kept has changed; empty for a hit and where nothing like it was kept. With an `error` it has ended, and badly. `line` and
    `end`: where it stands in the Dockerfile, from 1, both included; 0 where it does not.
    """

    vertex: Number
    name: str
    inputs: tuple[Number, ...] = ()
    started: int = 0
    completed: int = 0
    cached: bool = False
    why: str = ""
    error: str = ""
    line: int = 0
    end: int = 0


class LogEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="log"):
    """What a step's program wrote, as it came: `data` is base64 on the wire. `stream`: 1 or 2."""

    vertex: Number
    at: int
    data: bytes
    stream: int = 1


class AmountEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="amount"):
    """How far a part of a piece of work has got: a layer's download, the context's bytes. `total` 0: not known.

    `part` names it inside its vertex (`sha256:…`, `exporting layers`). Times as in VertexEvent; completed parts say so.
    """

    vertex: Number
    part: str
    at: int
    current: int = 0
    total: int = 0
    started: int = 0
    completed: int = 0


class WarningEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="warning"):
    """A finding of the checks. Lines count from 1, `end` included; `vertex` 0: of the Dockerfile as a whole."""

    rule: str
    message: str
    url: str = ""
    file: str = ""
    line: int = 0
    end: int = 0
    vertex: Number = Number(0)


class OutputEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="output"):
    """Bytes of a result that the client keeps (`--output type=tar`, `local`, `oci`, `docker` with a `dest`), base64 on the wire.

    `output` counts in the request's `outputs`, from 0. The last piece of each says `last`.
    """

    output: int
    data: bytes = b""
    last: bool = False


class ResultEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="result"):
    """What was made: `--metadata-file` in BuildKit's names (`containerimage.digest`, `image.name`, `buildx.build.provenance` …)."""

    metadata: dict[str, msgspec.Raw]


Event = VertexEvent | LogEvent | AmountEvent | WarningEvent
"""What the solver tells."""

Line = Event | OutputEvent | ResultEvent
"""What the wire carries."""


class Listener(Protocol):
    """Who listens to a build."""

    def tell(self, event: Event) -> None:
        """Take one event. Called on the loop's thread, in order; neither waits nor raises."""


class _Framed(msgspec.Struct, frozen=True):
    id: str
    aux: Line


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(_Framed)


def wire(event: Line) -> bytes:
    """The event as a line of an answer, its line end included."""
    return _ENCODER.encode(_Framed(STREAM, event)) + b"\r\n"


def read(line: bytes) -> Line:
    """The event of a line. Raises msgspec.ValidationError or DecodeError for another line."""
    found = _DECODER.decode(line)
    if found.id != STREAM:
        raise msgspec.ValidationError(f"a line of {found.id!r}")
    return found.aux


class Reporter:
    """Numbers the work of one build and tells its events. `clock`: nanoseconds since the epoch."""

    def __init__(self, listener: Listener, clock: Callable[[], int]) -> None:
        self._listener = listener
        self._clock = clock
        self._known: dict[Number, VertexEvent] = {}

    def announce(self, name: str, inputs: Sequence[Number] = (), lines: tuple[int, int] = (0, 0)) -> Number:
        """A piece of work that will be done, or found done; `lines` are its first and last in the Dockerfile."""
        number = Number(len(self._known) + 1)
        self._tell(VertexEvent(vertex=number, name=name, inputs=tuple(inputs), line=lines[0], end=lines[1]))
        return number

    def start(self, number: Number, why: str = "") -> None:
        """It is being done now. `why` it was not found done. What is being done already goes on."""
        if not self._known[number].started:
            self._tell(msgspec.structs.replace(self._known[number], started=self._clock(), why=why))

    def hit(self, number: Number) -> None:
        """It was found done."""
        known = self._known[number]
        if not known.completed:
            now = self._clock()
            self._tell(msgspec.structs.replace(known, started=known.started or now, completed=now, cached=True))

    def end(self, number: Number, error: str = "", why: str = "") -> None:
        """It is done, or has failed, or was cancelled (`error`). `why` as in `start`. What has ended stays as it is."""
        known = self._known[number]
        if known.completed:
            return
        now = self._clock()
        self._tell(
            msgspec.structs.replace(
                known, started=known.started or now, completed=now, error=error, why=why or known.why
            )
        )

    def log(self, number: Number, data: bytes, stream: int = 1) -> None:
        """Its program wrote `data`."""
        for at in range(0, len(data), LOG_PIECE):
            piece = data[at : at + LOG_PIECE]
            self._listener.tell(LogEvent(vertex=number, at=self._clock(), data=piece, stream=stream))

    def amount(self, number: Number, part: str, current: int, total: int = 0, *, done: bool = False) -> None:
        """A part of it has got so far. Callers tell it a few times a second, not for every piece."""
        now = self._clock()
        completed = now if done else 0
        started = self._known[number].started
        event = AmountEvent(
            vertex=number, part=part, at=now, current=current, total=total, started=started, completed=completed
        )
        self._listener.tell(event)

    def warn(self, warning: WarningEvent) -> None:
        """A finding of the checks."""
        self._listener.tell(warning)

    def _tell(self, event: VertexEvent) -> None:
        self._known[event.vertex] = event
        self._listener.tell(event)
