"""The gateway: calls of a client that leads its build itself. buildx does so with each; what it leads to is one front end."""

import os

from grpclib.const import Cardinality, Handler, Status
from grpclib.exceptions import GRPCError
from grpclib.server import Stream

from sampan.buildkit.building import Workshop
from sampan.buildkit.connections import Detail
from sampan.buildkit.control import FRONTEND, Control, M, N, answering, received
from sampan.buildkit.protocol import caps_pb2 as caps
from sampan.buildkit.protocol import gateway_pb2 as gateway
from sampan.buildkit.solves import Solve, Solves
from sampan.errors import NotFound, NotImplementedHere

SERVICE = "/moby.buildkit.v1.frontend.LLBBridge/"
_BUILD = "buildkit-controlapi-buildid"
_FRONTEND_CAPS = (
    "solve.base",
    "return",
    "returnmap",
    "proto.refarray",
    "importcaches",
    "frontend.caps",
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
    "exec.meta.base",
    "exec.meta.network",
    "exec.meta.proxyenv",
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
    "platform",
    "meta.description",
    "exporter.sourcedateepoch",
    "gc.freespacefilter",
)
"""What the clients probe, as far as it is there: an attestation or a second exporter is refused by them, not half done here."""


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
            if request.Definition.ByteSize() or request.FrontendInputs:
                raise NotImplementedHere("not implemented by Sampan yet: builds of a client's own graph (LLB)")
            if request.CacheImports:
                raise NotImplementedHere("not implemented by Sampan yet: caches to import in a gateway's call")
            if request.Frontend != FRONTEND:
                raise NotImplementedHere(f"not implemented by Sampan yet: the front end {request.Frontend[:100]!r}")
        metadata = await self._workshop.build(solve, {**solve.attributes, **request.FrontendOpt})
        reference = gateway.Ref(id="" if metadata else os.urandom(12).hex())
        await stream.send_message(gateway.SolveResponse(result=gateway.Result(ref=reference, metadata=metadata)))

    async def evaluate(self, stream: Stream[gateway.EvaluateRequest, gateway.EvaluateResponse]) -> None:
        """Everything is evaluated when `solve` answers."""
        await received(stream)
        with answering():
            await self._leading(stream)
        await stream.send_message(gateway.EvaluateResponse())

    async def inputs(self, stream: Stream[gateway.InputsRequest, gateway.InputsResponse]) -> None:
        """A solve with inputs is refused, so there are none."""
        await received(stream)
        with answering():
            await self._leading(stream)
        await stream.send_message(gateway.InputsResponse())

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
