"""A store of blobs in a client's session (containerd's content service): its cache directories and OCI layouts.

    Info ─▶ size     Read(offset, size) ─▶ pieces     Write: STAT, WRITE …, COMMIT(digest)

To what reads and writes caches and images it is a repository as any other (`registry.protocol`): everything of it is verified
by whoever stores it. Its methods block; they are for threads beside the event loop's.
"""

import asyncio
import io
import json
import os
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO, TypeVar

from grpclib.client import Stream, StreamStreamMethod, UnaryStreamMethod, UnaryUnaryMethod
from grpclib.const import Status
from grpclib.exceptions import GRPCError, StreamTerminatedError

from sampan.buildkit.protocol import content_pb2 as content
from sampan.buildkit.sessions import Session
from sampan.errors import InvalidParameter, NotFound, System
from sampan.registry.limits import UNKNOWN
from sampan.spec.ids import Digest, digest_of, parse_digest
from sampan.spec.oci_image import MANIFEST_LIMIT, OCI_INDEX, OCI_MANIFEST, Descriptor

T = TypeVar("T")

SERVICE = "/containerd.services.content.v1.Content/"
_STORE = "buildkit-attachable-store-id"
_SECONDS = 120.0
"""for one answer"""
_ABORT_SECONDS = 5.0
_PIECE = 1 << 20


class ClientStore:
    """One store. Implements `registry.protocol.Repository`."""

    domain = "client"
    rate_limit = UNKNOWN

    def __init__(self, session: Session, store: str, shown: str) -> None:
        """`store` is the session's name of it, `shown` what messages call it. To be made on the event loop.

        Raises InvalidParameter where the session has no stores.
        """
        if not session.offers(f"{SERVICE}Info"):
            raise InvalidParameter(f"{shown}: the client offers no content store")
        self._session = session
        self._headers = {_STORE: store}
        self._loop = asyncio.get_running_loop()
        self.path = shown

    def _call(self, work: Coroutine[object, object, T], seconds: float | None = _SECONDS) -> T:
        """The outcome, in another thread than the loop's. Raises NotFound, System, OSError."""
        waiting = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return waiting.result(seconds)
        except TimeoutError as error:
            waiting.cancel()
            raise System(f"{self.path}: the client did not answer for {_SECONDS:.0f} seconds") from error
        except GRPCError as error:
            kind = NotFound if error.status is Status.NOT_FOUND else System
            raise kind(f"{self.path}: {error.message}") from error
        except (StreamTerminatedError, ConnectionError) as error:
            raise System(f"{self.path}: the client left") from error

    async def _info(self, digest: str) -> content.Info:
        method = UnaryUnaryMethod(self._session.caller, f"{SERVICE}Info", content.InfoRequest, content.InfoResponse)
        answer = await method(content.InfoRequest(digest=digest), metadata=self._headers, timeout=_SECONDS)
        return answer.info

    async def _read(self, digest: str, offset: int, size: int) -> bytes:
        """Exactly these bytes: fewer or more are a fault of the client."""
        method = UnaryStreamMethod(
            self._session.caller, f"{SERVICE}Read", content.ReadContentRequest, content.ReadContentResponse
        )
        found = bytearray()
        async with method.open(metadata=self._headers, timeout=_SECONDS) as stream:
            await stream.send_message(content.ReadContentRequest(digest=digest, offset=offset, size=size), end=True)
            async for piece in stream:
                # Its offset says nothing: containerd counts from where the call began.
                if len(found) + len(piece.data) > size:
                    raise System(f"{self.path}: the client sent more bytes of {digest} than it was asked for")
                found += piece.data
        if len(found) != size:
            raise System(f"{self.path}: the client sent {len(found)} bytes of {digest}, where {size} were asked for")
        return bytes(found)

    # ---- as a source

    def resolve(self, reference: str) -> Descriptor:
        """See `registry.protocol.Source`; here a reference is a digest."""
        digest = parse_digest(reference)
        size = self._call(self._info(digest)).size
        if not 0 < size <= MANIFEST_LIMIT:
            raise InvalidParameter(f"{self.path}: the manifest {digest} has {size} bytes: {MANIFEST_LIMIT} are allowed")
        data = self.manifest(Descriptor("", digest, size))
        return Descriptor(_media_type(data), digest, size)

    def manifest(self, descriptor: Descriptor) -> bytes:
        """See `registry.protocol.Source`."""
        digest = parse_digest(descriptor.digest)
        if not 0 < descriptor.size <= MANIFEST_LIMIT:
            raise InvalidParameter(f"{self.path}: the manifest {digest} is larger than {MANIFEST_LIMIT} bytes")
        data = self._call(self._read(digest, 0, descriptor.size))
        if digest_of(data) != digest:
            raise InvalidParameter(f"manifest verification failed for digest {digest}")
        return data

    @contextmanager
    def blob(self, descriptor: Descriptor, offset: int = 0) -> Iterator[io.BufferedIOBase]:
        """See `registry.protocol.Source`."""
        digest = parse_digest(descriptor.digest)

        def read(at: int, size: int) -> bytes:
            return self._call(self._read(digest, at, size))

        with io.BufferedReader(_Blob(read, offset, descriptor.size), _PIECE) as stream:
            yield stream

    def has_blob(self, digest: Digest) -> bool:
        """See `registry.protocol.Source`."""
        try:
            return self._call(self._info(digest)).digest == digest
        except NotFound:
            return False

    def tags(self) -> Iterator[str]:
        """It knows no names."""
        return iter(())

    def referrers(self, digest: Digest, artifact_type: str = "") -> Iterator[Descriptor]:  # noqa: ARG002 - the protocol's
        """It knows nothing of what it holds."""
        return iter(())

    # ---- to be written to

    def mount(self, digest: Digest, source: str) -> bool:  # noqa: ARG002 - the protocol's
        """Nothing can be had from elsewhere."""
        return False

    def upload(
        self, digest: Digest, size: int, reader: Callable[[int], BinaryIO], progress: Callable[[int], None]
    ) -> None:
        """See `registry.protocol.Repository`. Not resumed: the client is on this machine, or its whole session is cut."""
        with reader(0) as source:
            self._call(self._write(digest, size, source, progress), seconds=None)

    async def _write(self, digest: Digest, size: int, source: BinaryIO, progress: Callable[[int], None]) -> None:
        # Two builds may send the same blob at the same time.
        name = f"sampan-{digest.removeprefix('sha256:')}-{os.urandom(6).hex()}"
        caller = self._session.caller
        method = StreamStreamMethod(
            caller, f"{SERVICE}Write", content.WriteContentRequest, content.WriteContentResponse
        )
        request = content.WriteContentRequest(action=content.STAT, ref=name, total=size, expected=digest)
        try:
            async with method.open(metadata=self._headers) as stream:
                await _ask(stream, request)
                request.action = content.WRITE
                while request.offset < size:
                    request.data = await asyncio.to_thread(source.read, min(_PIECE, size - request.offset))
                    if not request.data:
                        raise System(f"{self.path}: {digest} ended at {request.offset} of {size} bytes")
                    await _ask(stream, request)
                    request.offset += len(request.data)
                    progress(request.offset)
                request.action, request.data = content.COMMIT, b""
                await _ask(stream, request, end=True)
        except GRPCError as error:
            if error.status is not Status.ALREADY_EXISTS:
                await self._abort(name)
                raise
        except BaseException:
            await self._abort(name)
            raise

    async def _abort(self, name: str) -> None:
        """What was begun goes; a client that has gone does so by itself."""
        method = UnaryUnaryMethod(self._session.caller, f"{SERVICE}Abort", content.AbortRequest, content.AbortResponse)
        with suppress(GRPCError, StreamTerminatedError, ConnectionError, TimeoutError):
            await method(content.AbortRequest(ref=name), metadata=self._headers, timeout=_ABORT_SECONDS)

    def put_manifest(self, reference: str, media_type: str, data: bytes) -> Digest:  # noqa: ARG002 - the protocol's
        """See `registry.protocol.Repository`. The client itself writes down what it is called."""
        digest = digest_of(data)
        self.upload(digest, len(data), lambda offset: io.BytesIO(data[offset:]), lambda _: None)
        return digest


_Write = Stream[content.WriteContentRequest, content.WriteContentResponse]


async def _ask(stream: _Write, request: content.WriteContentRequest, *, end: bool = False) -> None:
    """One request and its answer. Raises GRPCError, StreamTerminatedError, TimeoutError."""
    async with asyncio.timeout(_SECONDS):
        await stream.send_message(request, end=end)
        if await stream.recv_message() is None:
            raise StreamTerminatedError("the client ended the call")  # with the status, where it sent one


class _Blob(io.RawIOBase):
    """A blob from `at` to its end, asked for piece by piece."""

    def __init__(self, read: Callable[[int, int], bytes], at: int, end: int) -> None:
        self._read = read
        self._at = at
        self._end = end

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # Buffer is Python 3.12's
        size = min(len(buffer), self._end - self._at, _PIECE)
        if size <= 0:
            return 0
        buffer[:size] = self._read(self._at, size)
        self._at += size
        return size


def _media_type(data: bytes) -> str:
    """What a manifest says it is; where it says nothing, by its form."""
    try:
        document = json.loads(data)
    except ValueError as error:
        raise InvalidParameter(f"the manifest is no JSON: {error}") from error
    if not isinstance(document, dict):
        raise InvalidParameter("the manifest is no JSON object")
    said = document.get("mediaType")
    if isinstance(said, str) and said:
        return said
    return OCI_INDEX if "manifests" in document else OCI_MANIFEST
