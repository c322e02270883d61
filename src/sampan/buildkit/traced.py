"""A span for each gRPC call, below the one that its metadata names: buildx sends `traceparent` there. Loaded where asked for."""

from collections.abc import Mapping
from typing import Any

from grpclib.const import Handler

from sampan.buildkit import connections
from sampan.telemetry.tracing import Tracing, failed, within


def hold_spans(tracing: Tracing) -> None:
    """From now on each call that a client makes has one. Once, before the first connection."""
    mapping = connections.Services.__mapping__

    def traced(self: connections.Services) -> dict[str, Handler]:
        return {
            path: handler._replace(func=_answering(tracing, path, handler)) for path, handler in mapping(self).items()
        }

    connections.Services.__mapping__ = traced  # type: ignore[method-assign]


def _answering(tracing: Tracing, path: str, handler: Handler) -> Any:  # noqa: ANN401 - grpclib's own type of it is private
    async def answer(stream: Any) -> None:  # noqa: ANN401 - of the messages that the handler knows
        told = {"rpc.system": "grpc", "rpc.method": path.rpartition("/")[2], "rpc.service": path[1:].partition("/")[0]}
        span = tracing.served(path[1:], _bytes(stream.metadata or {}), told)
        with within(span, ends=True):
            try:
                await handler.func(stream)
            except Exception as error:
                failed(span, error)
                raise

    return answer


def _bytes(metadata: Mapping[str, object]) -> dict[bytes, bytes]:
    return {name.encode(): value.encode() for name, value in metadata.items() if isinstance(value, str)}
