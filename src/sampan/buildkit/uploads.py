"""What a client uploads when it is asked: its standard input, as a context. The name is the path of a URL that it made up."""

import os

from grpclib.client import StreamStreamMethod
from grpclib.exceptions import GRPCError, StreamTerminatedError

from sampan.build.tree.arrival import CONTEXT_LIMIT
from sampan.build.tree.room import Room
from sampan.buildkit.origins import UPLOADS
from sampan.buildkit.protocol.session_pb2 import BytesMessage
from sampan.buildkit.sessions import Session
from sampan.errors import InvalidParameter, System
from sampan.files.writing import write_all

METHOD = "/moby.upload.v1.Upload/Pull"


async def uploaded(session: Session, path: str, into: int) -> int:
    """A descriptor of a file without a name below `into`, at its beginning. The caller closes it.

    Raises InvalidParameter, TooLarge, System, OSError.
    """
    if not session.offers(METHOD):
        raise InvalidParameter(f"method {METHOD} not supported by the client")
    if not path.isprintable() or not path.isascii():
        raise InvalidParameter(f"invalid upload {path[:100]!r}")
    spool = os.open(b".", os.O_TMPFILE | os.O_RDWR, 0o600, dir_fd=into)
    try:
        room = Room(spool, CONTEXT_LIMIT, "the build context")
        method = StreamStreamMethod(session.caller, METHOD, BytesMessage, BytesMessage)
        async with method.open(metadata={"urlpath": path, "urlhost": UPLOADS}) as stream:
            # Ended at once: a client that answers on an open half resets it, and its last bytes are lost.
            await stream.send_request(end=True)
            while (piece := await stream.recv_message()) is not None:
                room.take(len(piece.data))
                write_all(spool, piece.data)
        os.lseek(spool, 0, os.SEEK_SET)
    except GRPCError as error:
        os.close(spool)
        raise System(f"failed to read what the client uploads: {error.message}") from error
    except (StreamTerminatedError, ConnectionError) as error:
        os.close(spool)
        raise System("the client left while it uploaded the context") from error
    except BaseException:
        os.close(spool)
        raise
    return spool
