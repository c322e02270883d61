"""What every call of gRPC has: one message, and a fault that is its answer."""

from typing import TypeVar

from google.protobuf.message import Message
from grpclib.const import Status
from grpclib.exceptions import GRPCError
from grpclib.server import Stream

from sampan.buildkit import faults
from sampan.errors import SampanError

M = TypeVar("M", bound=Message)
N = TypeVar("N", bound=Message)


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
