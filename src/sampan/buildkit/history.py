"""The history of builds: told and followed, filtered, pinned, forgotten; and what its records name by digest.

ListenBuildHistory ─▶ events      UpdateBuildHistory      containerd's Content: Info, Read ─▶ a failure with all its details
"""

import re
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import UTC, datetime

from grpclib.const import Cardinality, Handler
from grpclib.server import Stream

from sampan.build.git_address import BadAddress, git_address
from sampan.build.progress import Number, VertexEvent
from sampan.build.tree.git_program import redacted
from sampan.buildkit import filters
from sampan.buildkit.calls import answering, received
from sampan.buildkit.connections import Details
from sampan.buildkit.frontends import BUILT_IN
from sampan.buildkit.protocol import content_pb2 as content
from sampan.buildkit.protocol import control_pb2 as control
from sampan.buildkit.solves import Solve, Solves
from sampan.buildkit.statuses import moment
from sampan.dockerfile.durations import parse_duration
from sampan.errors import Conflict, InvalidParameter, NotFound
from sampan.spec.ids import digest_of

CONTROL = "/moby.buildkit.v1.Control/"
CONTENT = "/containerd.services.content.v1.Content/"
_NOW = "buildkit-current-timestamp"
_FAILURE = "application/vnd.googeapis.google.rpc.status+proto"
"""As BuildKit spells it."""
_TIMED = re.compile(r"(startedAt|completedAt|duration)(>=|<=|>|<)(.+)", re.DOTALL)
_COMPARED: Mapping[str, Callable[[int, int], bool]] = {
    ">=": lambda value, bound: value >= bound,
    "<=": lambda value, bound: value <= bound,
    ">": lambda value, bound: value > bound,
    "<": lambda value, bound: value < bound,
}
_NANO = 10**9


class History:
    """The calls about it."""

    def __init__(self, solves: Solves) -> None:
        self._solves = solves

    def handlers(self) -> dict[str, Handler]:
        """By path."""
        one, many = Cardinality.UNARY_UNARY, Cardinality.UNARY_STREAM
        asked, event = control.BuildHistoryRequest, control.BuildHistoryEvent
        changed, done = control.UpdateBuildHistoryRequest, control.UpdateBuildHistoryResponse
        wanted, piece = content.ReadContentRequest, content.ReadContentResponse
        return {
            f"{CONTROL}ListenBuildHistory": Handler(self.listen, many, asked, event),
            f"{CONTROL}UpdateBuildHistory": Handler(self.update, one, changed, done),
            f"{CONTENT}Info": Handler(self.info, one, content.InfoRequest, content.InfoResponse),
            f"{CONTENT}Read": Handler(self.read, many, wanted, piece),
        }

    async def listen(self, stream: Stream[control.BuildHistoryRequest, control.BuildHistoryEvent]) -> None:
        """Builds, and with no `EarlyExit` what becomes of them."""
        request = await received(stream)
        with answering():
            if request.Limit < 0:
                raise InvalidParameter(f"invalid limit {request.Limit}")
            _chosen([], request.Filter)
        await stream.send_initial_metadata(metadata={_NOW: datetime.now(UTC).isoformat().replace("+00:00", "Z")})
        async for one in self._events(request):
            await stream.send_message(one)

    async def _events(self, request: control.BuildHistoryRequest) -> AsyncIterator[control.BuildHistoryEvent]:
        told: dict[str, int] = {}
        while True:
            version = self._solves.version
            known = [one for one in self._solves.listed() if request.Ref in ("", one.ref)]
            if request.ActiveOnly:
                known = [one for one in known if not one.ended or one.ref in told]
            known = _chosen(known, request.Filter)
            if request.Limit > 0 and not told:
                known = known[-request.Limit :]
            for solve in known:
                if told.get(solve.ref) != solve.generation:
                    told[solve.ref] = solve.generation
                    yield _event(solve)
            for ref in told.keys() - {one.ref for one in self._solves.listed()}:
                del told[ref]
                yield control.BuildHistoryEvent(type=control.DELETED, record=control.BuildHistoryRecord(Ref=ref))
            if request.EarlyExit:
                return
            await self._solves.changed(version)

    async def update(
        self, stream: Stream[control.UpdateBuildHistoryRequest, control.UpdateBuildHistoryResponse]
    ) -> None:
        """Pin a build in the history, or take it out."""
        request = await received(stream)
        with answering():
            solve = self._solves.get(request.Ref)
            if request.Delete:
                if not solve.ended:
                    raise Conflict(f"build {solve.ref[:100]} is running: cancel it first")
                self._solves.forget(solve)
            elif not request.Finalize:
                solve.pinned = request.Pinned
                solve.generation += 1
            await self._solves.change()
        await stream.send_message(control.UpdateBuildHistoryResponse())

    # ---- what records name

    def _blob(self, digest: str) -> bytes:
        for solve in self._solves.listed():
            failure = _failure(solve)
            if failure and digest_of(failure) == digest:
                return failure
        raise NotFound(f"content {digest[:100]}: not found")

    async def info(self, stream: Stream[content.InfoRequest, content.InfoResponse]) -> None:
        """How large something is."""
        request = await received(stream)
        with answering():
            data = self._blob(request.digest)
        await stream.send_message(content.InfoResponse(info=content.Info(digest=request.digest, size=len(data))))

    async def read(self, stream: Stream[content.ReadContentRequest, content.ReadContentResponse]) -> None:
        """It, or a part of it."""
        request = await received(stream)
        with answering():
            data = self._blob(request.digest)
            if request.offset > len(data):
                raise InvalidParameter(f"read past object length {len(data)} bytes")
        begin = max(request.offset, 0)
        end = begin + request.size if request.size > 0 else len(data)
        await stream.send_initial_metadata()
        await stream.send_message(content.ReadContentResponse(offset=begin, data=data[begin:end]))


def _status(solve: Solve) -> str:
    if not solve.ended:
        return "running"
    if solve.error is None:
        return "completed"
    return "canceled" if "context canceled" in (solve.error.message or "") else "error"


def _repository(attributes: Mapping[str, str]) -> str:
    """Where the context is from, as the client says; else what it is."""
    try:
        source = git_address(attributes.get("context", ""))
    except BadAddress:
        source = None
    return attributes.get("vcs:source", "") or (source.repository if source is not None else "")


_VALUES: Mapping[str, Callable[[Solve], str]] = {
    "ref": lambda solve: solve.ref,
    "status": _status,
    "repository": lambda solve: _repository(solve.attributes),
}


def _chosen(solves: Sequence[Solve], given: Sequence[str]) -> list[Solve]:
    """Those that fit. Raises InvalidParameter."""
    return filters.filtered(solves, given, _VALUES, _timed)


def _timed(text: str) -> Callable[[Solve], bool] | None:
    """`startedAt>2h`, `completedAt<=2026-01-01T00:00:00Z`, `duration<1m`; None for other conditions. Raises InvalidParameter."""
    match = _TIMED.fullmatch(text)
    if match is None:
        return None
    field, operator, value = match.groups()
    compared = _COMPARED[operator]
    if field == "duration":
        length = _duration(value)
        if length is None:
            raise InvalidParameter(f"invalid duration {value[:100]}")
        return lambda solve: compared(solve.ended - solve.began if solve.ended else 0, length)
    at = _moment(value)
    if field == "startedAt":
        return lambda solve: compared(solve.began // _NANO, at)
    return lambda solve: compared(solve.ended // _NANO, at)


def _duration(text: str) -> int | None:
    try:
        return parse_duration(text)
    except ValueError:
        return None


def _moment(text: str) -> int:
    """Seconds since the epoch: a time, or how long ago. Raises InvalidParameter."""
    ago = _duration(text)
    if ago is not None:
        return (time.time_ns() - ago) // _NANO
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidParameter(f"invalid time {text[:100]}") from error
    if at.tzinfo is None:
        raise InvalidParameter(f"invalid time {text[:100]}")
    return int(at.timestamp())


def _failure(solve: Solve) -> bytes:
    """What a build ended with, details and all: a message of google.rpc."""
    error = solve.error
    return b"" if error is None else Details().encode(error.status, error.message, error.details or ())


def _event(solve: Solve) -> control.BuildHistoryEvent:
    steps = solve.statuses.steps
    record = control.BuildHistoryRecord(
        Ref=solve.ref,
        Frontend=solve.request.Frontend or BUILT_IN,
        # Addresses may have passwords in them (CVE-2023-26054).
        FrontendAttrs={name: redacted(value) for name, value in solve.attributes.items()},
        Exporters=list(solve.request.Exporters),
        CreatedAt=moment(solve.began),
        CompletedAt=moment(solve.ended),
        ExporterResponse=dict(solve.response),
        Generation=solve.generation,
        pinned=solve.pinned,
        numTotalSteps=len(steps),
        numCachedSteps=_count(steps, cached=True),
        numCompletedSteps=_count(steps, cached=False),
        numWarnings=solve.statuses.warnings,
    )
    if solve.error is not None:
        record.error.code = solve.error.status.value
        record.error.message = solve.error.message or ""
        failure = _failure(solve)
        described = control.Descriptor(media_type=_FAILURE, digest=digest_of(failure), size=len(failure))
        record.externalError.CopyFrom(described)
    kind = control.COMPLETE if solve.ended else control.STARTED
    return control.BuildHistoryEvent(type=kind, record=record)


def _count(steps: Mapping[Number, VertexEvent], *, cached: bool) -> int:
    """How many steps are done; of these only those from the cache, where that is asked."""
    return sum(bool(step.completed) and not step.error and (step.cached or not cached) for step in steps.values())
