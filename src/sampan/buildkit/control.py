"""The control service: builds begun and told, what the builder is, and its cache. Their history: `history`."""

import asyncio
from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp
from grpclib.const import Cardinality, Handler, Status
from grpclib.exceptions import GRPCError
from grpclib.server import Stream

from sampan.buildkit.building import Asking, Workshop
from sampan.buildkit.calls import answering, received
from sampan.buildkit.frontends import NEWEST, check_frontend
from sampan.buildkit.needs import PruneWish
from sampan.buildkit.protocol import control_pb2 as control
from sampan.buildkit.protocol import operations_pb2 as operations
from sampan.buildkit.protocol import worker_pb2 as worker
from sampan.buildkit.solves import Solves
from sampan.buildkit.tunnel import tunnelled
from sampan.buildkit.usage_filters import filtered
from sampan.errors import NotImplementedHere
from sampan.images.platforms import builders_platform
from sampan.spec.disk import BuildCache

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
