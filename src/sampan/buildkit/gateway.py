"""The gateway: calls of a client that leads its build itself. buildx does so with each; what it leads to is one front end."""

import asyncio

from grpclib.const import Cardinality, Handler, Status
from grpclib.exceptions import GRPCError
from grpclib.server import Stream

from sampan.build.request import CacheOption
from sampan.build.tree.context import Context
from sampan.buildkit.building import Asking, Workshop
from sampan.buildkit.calls import M, N, answering, received
from sampan.buildkit.connections import Detail
from sampan.buildkit.control import Control
from sampan.buildkit.definitions import origin_of, result_definition
from sampan.buildkit.frontends import check_frontend
from sampan.buildkit.protocol import caps_pb2 as caps
from sampan.buildkit.protocol import gateway_pb2 as gateway
from sampan.buildkit.reading import described, listed, read_part
from sampan.buildkit.solves import Solve, Solves
from sampan.errors import InvalidParameter, NotFound, NotImplementedHere

SERVICE = "/moby.buildkit.v1.frontend.LLBBridge/"
_BUILD = "buildkit-controlapi-buildid"
_FRONTEND_CAPS = (
    "solve.base",
    "return",
    "returnmap",
    "proto.refarray",
    "reference.output",
    "importcaches",
    "frontend.inputs",
    "frontend.caps",
    "readfile",
    "readdir",
    "statfile",
    "gateway.solve.metadata",
    "gateway.solve.evaluate",
    "gateway.evaluate",
    "gateway.warnings",
)
_BUILD_CAPS = (
    "source.local",
    "source.local.unique",
    "source.local.sessionid",
    "source.local.includepatterns",
    "source.local.followpaths",
    "source.local.excludepatterns",
    "source.local.sharedkeyhint",
    "source.image",
    "source.image.resolvemode",
    "source.ocilayout",
    "source.git",
    "source.git.fullurl",
    "source.git.keepgitdir",
    "source.git.subdir",
    "source.git.checksum",
    "source.git.skipsubmodules",
    "source.git.httpauth",
    "source.http",
    "source.http.checksum",
    "exec.meta.base",
    "exec.meta.network",
    "exec.meta.proxyenv",
    "exec.meta.security",
    "exec.meta.ulimit",
    "exec.meta.cgroup.parent",
    "exec.mount.bind",
    "exec.mount.cache",
    "exec.mount.cache.sharing",
    "exec.mount.tmpfs",
    "exec.mount.tmpfs.size",
    "exec.mount.secret",
    "exec.mount.ssh",
    "exec.secretenv",
    "file.base",
    "constraints",
    "platform",
    "meta.description",
    "exporter.sourcedateepoch",
    "exporter.image.annotations",
    "exporter.image.attestations",
    "exporter.multiple",
    "cache.gha",
    "cache.s3",
    "cache.azblob",
    "gc.freespacefilter",
    "history.filter",
)
"""What the clients probe, as far as it is there.

The caches in clouds are not there: a client that is told so leaves them out and says nothing, so they are refused here, by name.
"""


class Gateway:
    """The service's methods."""

    def __init__(self, workshop: Workshop, solves: Solves, control: Control) -> None:
        self._workshop = workshop
        self._solves = solves
        self._control = control

    def handlers(self) -> dict[str, Handler]:
        """By path."""
        one = Cardinality.UNARY_UNARY
        return {
            f"{SERVICE}Ping": Handler(self.ping, one, gateway.PingRequest, gateway.PongResponse),
            f"{SERVICE}Solve": Handler(self.solve, one, gateway.SolveRequest, gateway.SolveResponse),
            f"{SERVICE}Evaluate": Handler(self.evaluate, one, gateway.EvaluateRequest, gateway.EvaluateResponse),
            f"{SERVICE}Inputs": Handler(self.inputs, one, gateway.InputsRequest, gateway.InputsResponse),
            f"{SERVICE}Return": Handler(self.end, one, gateway.ReturnRequest, gateway.ReturnResponse),
            f"{SERVICE}ReadFile": Handler(self.read_file, one, gateway.ReadFileRequest, gateway.ReadFileResponse),
            f"{SERVICE}ReadDir": Handler(self.read_directory, one, gateway.ReadDirRequest, gateway.ReadDirResponse),
            f"{SERVICE}StatFile": Handler(self.stat_file, one, gateway.StatFileRequest, gateway.StatFileResponse),
            f"{SERVICE}Warn": Handler(self.warn, one, gateway.WarnRequest, gateway.WarnResponse),
        }

    async def _leading(self, stream: "Stream[M, N]") -> Solve:
        """The build that the call belongs to. Raises NotFound."""
        ref = stream.metadata.get(_BUILD) if stream.metadata is not None else None
        if not isinstance(ref, str):
            raise NotFound("no buildid found in context")
        return await self._solves.find(ref)

    async def ping(self, stream: Stream[gateway.PingRequest, gateway.PongResponse]) -> None:
        """What can be asked for."""
        await received(stream)
        with answering():
            await self._leading(stream)
        answer = gateway.PongResponse(
            FrontendAPICaps=[caps.APICap(ID=name, Enabled=True) for name in _FRONTEND_CAPS],
            LLBCaps=[caps.APICap(ID=name, Enabled=True) for name in _BUILD_CAPS],
            Workers=[self._control.record()],
        )
        await stream.send_message(answer)

    async def solve(self, stream: Stream[gateway.SolveRequest, gateway.SolveResponse]) -> None:
        """Build by the front end, outputs and all: what a client does with the result is to return it."""
        request = await received(stream)
        with answering():
            solve = await self._leading(stream)
            if request.SourcePolicies:
                raise NotImplementedHere("not implemented by Sampan yet: source policies in a gateway's call")
            if request.Definition.ByteSize() and request.Frontend:
                raise InvalidParameter("cannot solve with both Definition and Frontend specified")
            origin = origin_of(request.Definition) if request.Definition.ByteSize() else None
            if origin is None:
                check_frontend(request.Frontend, request.FrontendOpt)
        if origin is not None:
            reference = await self._workshop.look(solve, origin)
            result = gateway.Result(ref=gateway.Ref(id=reference, **{"def": request.Definition}))
        else:
            result = await self._built(solve, request)
        await stream.send_message(gateway.SolveResponse(result=result))

    async def _built(self, solve: Solve, request: gateway.SolveRequest) -> gateway.Result:
        imports = [CacheOption(one.Type, dict(one.Attrs)) for one in request.CacheImports]
        asking = Asking({**solve.attributes, **request.FrontendOpt}, request.FrontendInputs, imports)
        outcome = await self._workshop.build(solve, asking)
        if not outcome.image:
            return gateway.Result(ref=gateway.Ref(), metadata=outcome.metadata)
        with answering():
            reference = solve.keep_image(outcome.image)
        definition = result_definition(reference)
        return gateway.Result(ref=gateway.Ref(id=reference, **{"def": definition}))

    async def _looked(self, stream: "Stream[M, N]", reference: str) -> Context:
        """A source that the client reads in. Raises NotFound."""
        solve = await self._leading(stream)
        if reference in solve.images:
            raise NotImplementedHere(
                "not implemented by Sampan yet: reading in what a build made; use --output type=local"
            )
        if reference not in solve.looked:
            raise NotFound(f"no such ref: {reference[:100]}")
        return solve.looked[reference]

    async def read_file(self, stream: Stream[gateway.ReadFileRequest, gateway.ReadFileResponse]) -> None:
        """A file of a source, or a part of it."""
        request = await received(stream)
        with answering():
            context = await self._looked(stream, request.Ref)
            offset, length = (request.Range.Offset, request.Range.Length) if request.HasField("Range") else (0, 0)
            data = await asyncio.to_thread(read_part, context, request.FilePath, offset, length)
        await stream.send_message(gateway.ReadFileResponse(Data=data))

    async def read_directory(self, stream: Stream[gateway.ReadDirRequest, gateway.ReadDirResponse]) -> None:
        """What is in a directory of a source."""
        request = await received(stream)
        with answering():
            context = await self._looked(stream, request.Ref)
            entries = listed(context, request.DirPath, request.IncludePattern)
        await stream.send_message(gateway.ReadDirResponse(entries=entries))

    async def stat_file(self, stream: Stream[gateway.StatFileRequest, gateway.StatFileResponse]) -> None:
        """What a file of a source is."""
        request = await received(stream)
        with answering():
            context = await self._looked(stream, request.Ref)
            stat = described(context, request.Path)
        await stream.send_message(gateway.StatFileResponse(stat=stat))

    async def evaluate(self, stream: Stream[gateway.EvaluateRequest, gateway.EvaluateResponse]) -> None:
        """Everything is evaluated when `solve` answers."""
        await received(stream)
        with answering():
            await self._leading(stream)
        await stream.send_message(gateway.EvaluateResponse())

    async def inputs(self, stream: Stream[gateway.InputsRequest, gateway.InputsResponse]) -> None:
        """Those of the client's own solve, which it knows."""
        await received(stream)
        with answering():
            solve = await self._leading(stream)
        await stream.send_message(gateway.InputsResponse(Definitions=solve.request.FrontendInputs))

    async def end(self, stream: Stream[gateway.ReturnRequest, gateway.ReturnResponse]) -> None:
        """The client is done; the solve answers."""
        request = await received(stream)
        with answering():
            solve = await self._leading(stream)
        if not solve.returned.done():
            if request.HasField("error") and request.error.code:
                details: list[Detail] = [(one.type_url, one.value) for one in request.error.details]
                solve.returned.set_exception(_returned(request.error.code, request.error.message, details))
            else:
                solve.returned.set_result(None)
        await stream.send_message(gateway.ReturnResponse())

    async def warn(self, stream: Stream[gateway.WarnRequest, gateway.WarnResponse]) -> None:
        """A client's own finding goes to nobody else: it has it already."""
        await received(stream)
        with answering():
            await self._leading(stream)
        await stream.send_message(gateway.WarnResponse())


def _returned(code: int, message: str, details: list[Detail]) -> GRPCError:
    """The client's own error, handed back as it came."""
    try:
        status = Status(code)
    except ValueError:
        status = Status.UNKNOWN
    return GRPCError(status if status is not Status.OK else Status.UNKNOWN, message, details)
