"""The control service: builds begun and told, what the builder is, its cache and its history."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import TypeVar

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from grpclib.const import Cardinality, Handler, Status
from grpclib.exceptions import GRPCError
from grpclib.server import Stream

from sampan.build.progress import Number, VertexEvent
from sampan.buildkit import faults
from sampan.buildkit.building import Asking, Workshop
from sampan.buildkit.frontends import BUILT_IN, NEWEST, check_frontend
from sampan.buildkit.needs import PruneWish
from sampan.buildkit.protocol import control_pb2 as control
from sampan.buildkit.protocol import operations_pb2 as operations
from sampan.buildkit.protocol import worker_pb2 as worker
from sampan.buildkit.solves import Solve, Solves
from sampan.buildkit.statuses import moment
from sampan.buildkit.tunnel import tunnelled
from sampan.buildkit.usage_filters import filtered
from sampan.errors import NotImplementedHere, SampanError
from sampan.images.platforms import builders_platform
from sampan.spec.disk import BuildCache

M = TypeVar("M", bound=Message)
N = TypeVar("N", bound=Message)

SERVICE = "/moby.buildkit.v1.Control/"
_DOCKERFILE_VERSION = ".".join(map(str, (*NEWEST, 0)))


class Control:
    """The service's methods; each takes a call, and raises GRPCError for what is wrong."""

    def __init__(self, workshop: Workshop, solves: Solves) -> None:
        self._workshop = workshop
        self._solves = solves

    def handlers(self) -> dict[str, Handler]:
        """By path."""
        one, many = Cardinality.UNARY_UNARY, Cardinality.UNARY_STREAM
        return {
            f"{SERVICE}Info": Handler(self.info, one, control.InfoRequest, control.InfoResponse),
            f"{SERVICE}ListWorkers": Handler(
                self.workers, one, control.ListWorkersRequest, control.ListWorkersResponse
            ),
            f"{SERVICE}Solve": Handler(self.solve, one, control.SolveRequest, control.SolveResponse),
            f"{SERVICE}Status": Handler(self.status, many, control.StatusRequest, control.StatusResponse),
            f"{SERVICE}Session": Handler(
                self.session, Cardinality.STREAM_STREAM, control.BytesMessage, control.BytesMessage
            ),
            f"{SERVICE}DiskUsage": Handler(self.usage, one, control.DiskUsageRequest, control.DiskUsageResponse),
            f"{SERVICE}Prune": Handler(self.prune, many, control.PruneRequest, control.UsageRecord),
            f"{SERVICE}ListenBuildHistory": Handler(
                self.history, many, control.BuildHistoryRequest, control.BuildHistoryEvent
            ),
            f"{SERVICE}UpdateBuildHistory": Handler(
                self.update_history, one, control.UpdateBuildHistoryRequest, control.UpdateBuildHistoryResponse
            ),
        }

    async def info(self, stream: Stream[control.InfoRequest, control.InfoResponse]) -> None:
        """Which builder this is."""
        await received(stream)
        await stream.send_message(control.InfoResponse(buildkitVersion=self._version()))

    def _version(self) -> worker.BuildkitVersion:
        version = self._workshop.builder.manner.version
        return worker.BuildkitVersion(
            package="sampan", version=f"v{version}", revision="", dockerfileVersion=_DOCKERFILE_VERSION
        )

    def record(self) -> worker.WorkerRecord:
        """The one worker there is. Its labels tell buildx that all exporters and caches in registries are there."""
        here = builders_platform()
        platform = operations.Platform(OS=here.os, Architecture=here.architecture, Variant=here.variant)
        labels = {
            "org.mobyproject.buildkit.worker.executor": "sampan",
            "org.mobyproject.buildkit.worker.snapshotter": "overlay",
            "org.mobyproject.buildkit.worker.moby.host-gateway-ip": self._workshop.builder.manner.host_gateway,
        }
        return worker.WorkerRecord(ID="sampan", Labels=labels, platforms=[platform], buildkit_version=self._version())

    async def workers(self, stream: Stream[control.ListWorkersRequest, control.ListWorkersResponse]) -> None:
        """All workers: this one."""
        await received(stream)
        await stream.send_message(control.ListWorkersResponse(record=[self.record()]))

    async def solve(self, stream: Stream[control.SolveRequest, control.SolveResponse]) -> None:
        """One build, to its end. When the call ends before it, so does the build."""
        request = await received(stream)
        with answering():
            if request.Definition.ByteSize():
                raise NotImplementedHere("not implemented by Sampan yet: builds of a client's own graph (LLB)")
            if request.Frontend:
                check_frontend(request.Frontend, request.FrontendAttrs)
            solve = await self._solves.begin(request)
        failed: GRPCError | None = GRPCError(Status.CANCELLED, "context canceled")
        try:
            if request.Frontend:
                await self._workshop.build(solve, Asking(request.FrontendAttrs, request.FrontendInputs))
            else:
                await solve.returned
            failed = None
        except GRPCError as error:
            failed = error
            raise
        finally:
            await asyncio.shield(self._solves.end(solve, failed))
        await stream.send_message(control.SolveResponse(ExporterResponse=dict(solve.response)))

    async def status(self, stream: Stream[control.StatusRequest, control.StatusResponse]) -> None:
        """What becomes of a build, until it ends."""
        request = await received(stream)
        with answering():
            solve = await self._solves.find(request.Ref)
        # The head goes out at once: a client waits for it before it shows anything.
        await stream.send_initial_metadata()
        async for message in solve.statuses.messages():
            await stream.send_message(message)

    async def session(self, stream: Stream[control.BytesMessage, control.BytesMessage]) -> None:
        """A session inside the call; its offer stands in the call's metadata."""
        metadata = stream.metadata
        assert metadata is not None
        headers = {key.encode(): ",".join(str(one) for one in metadata.getall(key)).encode() for key in metadata}
        with answering():
            await tunnelled(stream, headers, self._workshop.sessions)

    async def usage(self, stream: Stream[control.DiskUsageRequest, control.DiskUsageResponse]) -> None:
        """The build cache."""
        request = await received(stream)
        with answering():
            records = filtered(await self._workshop.builder.records(), request.filter)
        await stream.send_message(control.DiskUsageResponse(record=[usage_record(record) for record in records]))

    async def prune(self, stream: Stream[control.PruneRequest, control.UsageRecord]) -> None:
        """Remove from the build cache; what went is told."""
        request = await received(stream)
        wish = PruneWish(
            filters=tuple(request.filter),
            every=request.all,
            unused=request.keepDuration,
            reserved=request.reservedSpace,
            most=request.maxUsedSpace,
            free=request.minFreeSpace,
        )
        with answering():
            gone = await self._workshop.builder.prune(wish)
        await stream.send_initial_metadata()
        for record in gone:
            await stream.send_message(usage_record(record))

    async def history(self, stream: Stream[control.BuildHistoryRequest, control.BuildHistoryEvent]) -> None:
        """Builds, and with no `EarlyExit` what becomes of them."""
        request = await received(stream)
        with answering():
            if request.Filter:
                raise NotImplementedHere("not implemented by Sampan yet: filters of the build history")
        await stream.send_initial_metadata()
        async for event in self._events(request):
            await stream.send_message(event)

    async def _events(self, request: control.BuildHistoryRequest) -> AsyncIterator[control.BuildHistoryEvent]:
        told: dict[str, int] = {}
        while True:
            version = self._solves.version
            known = [one for one in self._solves.listed() if request.Ref in ("", one.ref)]
            if request.ActiveOnly:
                known = [one for one in known if not one.ended or one.ref in told]
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

    async def update_history(
        self, stream: Stream[control.UpdateBuildHistoryRequest, control.UpdateBuildHistoryResponse]
    ) -> None:
        """Pin a build in the history, or take it out."""
        request = await received(stream)
        with answering():
            solve = self._solves.get(request.Ref)
            if request.Delete:
                self._solves.forget(solve)
            elif not request.Finalize:
                solve.pinned = request.Pinned
                solve.generation += 1
            await self._solves.change()
        await stream.send_message(control.UpdateBuildHistoryResponse())


class answering:  # noqa: N801 - a with statement reads as one
    """What goes wrong inside is the call's answer."""

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, SampanError | OSError):
            raise GRPCError(faults.status_of(error), str(error)) from error


async def received(stream: "Stream[M, N]") -> M:
    """The one message of a call. Raises GRPCError where the client sent none."""
    message = await stream.recv_message()
    if message is None:
        raise GRPCError(Status.INVALID_ARGUMENT, "the call has no message")
    return message


def usage_record(record: BuildCache) -> control.UsageRecord:
    """A record of the cache as the control service tells it."""
    return control.UsageRecord(
        ID=record.id,
        Mutable=record.type in ("exec.cachemount", "source.local"),
        InUse=record.in_use,
        Size=record.size,
        Parents=list(record.parents or ()),
        CreatedAt=_time(record.created_at),
        LastUsedAt=_time(record.last_used_at),
        UsageCount=record.usage_count,
        Description=record.description,
        RecordType=record.type,
        Shared=record.shared,
    )


def _time(text: str | None) -> Timestamp | None:
    if not text:
        return None
    made = Timestamp()
    made.FromDatetime(datetime.fromisoformat(text))
    return made


def _event(solve: Solve) -> control.BuildHistoryEvent:
    steps = solve.statuses.steps
    record = control.BuildHistoryRecord(
        Ref=solve.ref,
        Frontend=solve.request.Frontend or BUILT_IN,
        FrontendAttrs=dict(solve.attributes),
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
    kind = control.COMPLETE if solve.ended else control.STARTED
    return control.BuildHistoryEvent(type=kind, record=record)


def _count(steps: Mapping[Number, VertexEvent], *, cached: bool) -> int:
    """How many steps are done; of these only those from the cache, where that is asked."""
    return sum(bool(step.completed) and not step.error and (step.cached or not cached) for step in steps.values())
