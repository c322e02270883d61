"""Security corpus, BuildKit's protocol: hostile clients, with calls, sessions and frames of our own."""

import asyncio
import os
import re
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from grpclib.client import UnaryUnaryMethod
from grpclib.const import Cardinality, Handler
from grpclib.exceptions import GRPCError
from grpclib.server import Stream

from sampan.buildkit.definitions import digest_of_operation
from sampan.buildkit.protocol import content_pb2 as content
from sampan.buildkit.protocol import control_pb2 as control
from sampan.buildkit.protocol import gateway_pb2 as gateway
from sampan.buildkit.protocol import operations_pb2 as operations
from sampan.buildkit.protocol.files_pb2 import Packet, Stat
from sampan.buildkit.protocol.session_pb2 import BytesMessage
from tests.api.grpc_clients import CONTROL, GATEWAY, Directory, calling, offering, solve, upgraded
from tests.daemons import EMULATED, Sampan, running_sampan
from tests.requires import requires
from tests.security.hostile import Canary
from tests.waiting import eventually, within

pytestmark = requires("root", "overlay", "netns", "bridge", "nftables", "busybox")

FILE, LINK, FOLDER = 0o644, 1 << 27 | 0o777, 1 << 31 | 0o755
DOCKERFILE = Stat(path="Dockerfile", mode=FILE, size=21, modTime=1)
TEXT = b"FROM busybox\nCOPY . /"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_MEMORY = 96 << 20
"""Bytes by which a daemon may grow while it is attacked."""


@pytest.fixture(scope="module")
def engine() -> Iterator[Sampan]:
    with running_sampan() as started:
        started.load_busybox()
        yield started


@pytest.fixture(autouse=True)
def unharmed(engine: Sampan) -> Iterator[None]:
    """The daemon is the same process, answers at once, has not grown, and has let go of what it opened."""
    assert engine.process is not None
    pid = engine.process.pid
    before, opened = resident(pid), descriptors(pid)
    yield
    with within(5):
        assert engine.api("GET", "/_ping").status == 200
    assert engine.process.poll() is None
    assert resident(pid) - before < _MEMORY
    eventually(lambda: descriptors(pid) <= opened + 8, "descriptors stay open", 10)


def resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


# ---- file sync


class Lying:
    """A client's directory: these stats, whatever they say, and the Dockerfile's content for all that is asked for."""

    def __init__(self, *stats: Stat) -> None:
        self.stats = stats

    async def diff_copy(self, stream: "Stream[Packet, Packet]") -> None:
        assert stream.metadata is not None
        followed = stream.metadata.getall("followpaths", [])
        stats = [one for one in (DOCKERFILE, *self.stats) if not followed or one.path in followed]
        for stat in stats:
            await stream.send_message(Packet(type=Packet.PACKET_STAT, stat=stat))
        await stream.send_message(Packet(type=Packet.PACKET_STAT))
        while (packet := await stream.recv_message()) is not None and packet.type != Packet.PACKET_FIN:
            data = TEXT if stats[packet.ID].path == "Dockerfile" else b"x" * stats[packet.ID].size
            await stream.send_message(Packet(type=Packet.PACKET_DATA, ID=packet.ID, data=data))
            await stream.send_message(Packet(type=Packet.PACKET_DATA, ID=packet.ID))
        await stream.send_message(Packet(type=Packet.PACKET_FIN))


@pytest.mark.parametrize(
    "stats",
    [
        [Stat(path="../out", mode=FILE, size=1)],
        [Stat(path="a/../../out", mode=FILE, size=1)],
        [Stat(path="..", mode=FOLDER)],
        [Stat(path="a\0b", mode=FILE, size=1)],
        [Stat(path="x" * 5000, mode=FILE, size=1)],
        [Stat(path="odd", mode=1 << 31 | 1 << 27)],
        [Stat(path="socket", mode=1 << 24)],
        [Stat(path="irregular", mode=1 << 19)],
        [Stat(path="less", mode=FILE, size=-1)],
        [Stat(path="hard", mode=FILE, linkname="/etc/passwd")],
        [Stat(path="hard", mode=FILE, linkname="../../etc/passwd")],
        [Stat(path="a", mode=FILE, size=1), Stat(path="a/b", mode=FILE, size=1)],
        [Stat(path="huge", mode=FILE, size=1 << 60)],
        [Stat(path="link", mode=LINK, linkname="y" * 5000)],
    ],
    ids=lambda stats: stats[-1].path[:10].replace("\0", "0"),
)
def test_names_kinds_and_sizes_that_lie(engine: Sampan, canary: Canary, stats: list[Stat]) -> None:
    del canary  # compared when the test is over

    async def play() -> None:
        async with offering(engine, "lies", Lying(*stats).diff_copy), calling(engine) as caller:
            with pytest.raises(GRPCError):
                await solve(caller, "lies", "lies", FrontendAttrs={"no-cache": ""})

    asyncio.run(play())


def test_links_stay_links(engine: Sampan, canary: Canary) -> None:
    """A link out of the context, files behind it, and a Dockerfile that copies through it."""
    stats = [Stat(path="out", mode=LINK, linkname=canary.path), Stat(path="out/secret", mode=FILE, size=3)]

    async def play() -> None:
        async with offering(engine, "links", Lying(*stats).diff_copy), calling(engine) as caller:
            exporter = control.Exporter(Type="image", Attrs={"name": "links"})
            try:
                await solve(caller, "links", "links", Exporters=[exporter])
            except GRPCError:
                return
        said = engine.docker("run", "--rm", "links", "cat", f"{canary.path}/secret")
        assert canary.secret not in said.text

    asyncio.run(play())


def test_a_list_without_end(engine: Sampan) -> None:
    """Names come for ever: the client is left when there are more than a context may have, or it is called off."""

    async def endless(stream: "Stream[Packet, Packet]") -> None:
        number = 0
        while True:
            number += 1
            stat = Stat(path=f"{number:09}" + "n" * 200, mode=FILE, size=0)
            await stream.send_message(Packet(type=Packet.PACKET_STAT, stat=stat))

    async def play() -> None:
        async with offering(engine, "endless", endless), calling(engine) as caller:
            task = asyncio.get_running_loop().create_task(solve(caller, "endless", "endless"))
            await asyncio.wait([task], timeout=1.5)
            assert engine.api("GET", "/_ping").status == 200
            task.cancel()
            await asyncio.wait([task])

    asyncio.run(play())


async def _silent(stream: "Stream[Packet, Packet]") -> None:
    await asyncio.sleep(3600)


def test_a_client_that_stands_still_holds_nobody_up(engine: Sampan) -> None:
    async def play() -> None:
        directory = Directory({"Dockerfile": b"FROM busybox\nRUN true\n"})
        async with (
            offering(engine, "still", _silent),
            offering(engine, "quick", directory),
            calling(engine) as slow,
            calling(engine) as caller,
        ):
            stuck = [
                asyncio.get_running_loop().create_task(solve(slow, f"still-{number}", "still")) for number in range(20)
            ]
            await asyncio.wait_for(solve(caller, "quick", "quick"), 30)
            assert not any(task.done() for task in stuck)
            for task in stuck:
                task.cancel()
            await asyncio.wait(stuck)

    asyncio.run(play())


# ---- words


@pytest.mark.parametrize(
    ("dockerfile", "more", "words"),
    [
        ("RUN --security=insecure true", {}, "security.insecure is not allowed"),
        ("RUN --security=insecure true", {"Entitlements": ["security.insecure"]}, "not allowed by build daemon"),
        ("RUN --security=unconfined true", {}, "security"),
        ("RUN --security=2 true", {}, "security"),
        ("RUN --network=host true", {}, "network.host is not allowed"),
        ("RUN true", {"Entitlements": ["security.privileged"]}, "unknown entitlement"),
        ("RUN true", {"Entitlements": ["device=vendor/class"]}, "device"),
        ("RUN true", {"FrontendAttrs": {"force-network-mode": "container:x"}}, "force-network-mode"),
        ("RUN true", {"FrontendAttrs": {"security": "insecure"}}, "the build attribute 'security'"),
        ("RUN true", {"FrontendAttrs": {"cgroup-parent": "../../..", "no-cache": ""}}, "cgroup"),
    ],
)
def test_no_privileges_by_the_back_door(engine: Sampan, dockerfile: str, more: dict[str, object], words: str) -> None:
    """CVE-2024-23653 and what is like it: what is not known is refused, not passed over."""

    async def play() -> None:
        directory = Directory({"Dockerfile": f"FROM busybox\n{dockerfile}\n".encode()})
        async with offering(engine, "door", directory), calling(engine) as caller:
            with pytest.raises(GRPCError, match=re.escape(words)):
                await solve(caller, "door", "door", **more)

    asyncio.run(play())


def test_packets_and_actions_of_no_known_kind(engine: Sampan) -> None:
    async def unknown(stream: "Stream[Packet, Packet]") -> None:
        packet = Packet()
        packet.MergeFromString(b"\x08\x63")  # the type 99
        await stream.send_message(packet)

    async def play() -> None:
        async with offering(engine, "unknown", unknown), calling(engine) as caller:
            with pytest.raises(GRPCError, match="a packet of type 99"):
                await solve(caller, "unknown", "unknown")

    asyncio.run(play())


def _graph(*given: bytes) -> operations.Definition:
    return operations.Definition(**{"def": list(given)})  # type: ignore[arg-type] # a word of Python's


def _last(digest: str, index: int = 0) -> bytes:
    return operations.Op(inputs=[operations.Input(digest=digest, index=index)]).SerializeToString()


SOURCE = operations.Op(source=operations.SourceOp(identifier="https://example.com/x")).SerializeToString()


@pytest.mark.parametrize(
    ("graph", "words"),
    [
        (_graph(b"\xff\xff\xff"), "invalid LLB definition"),
        (_graph(SOURCE), "its last operation"),
        (_graph(SOURCE, _last("sha256:" + "0" * 64)), "it has no output"),
        (_graph(SOURCE, _last(digest_of_operation(SOURCE), 1 << 40)), "it has no output"),
        (_graph(SOURCE, _last(digest_of_operation(SOURCE), -1)), "it has no output"),
        (_graph(*[SOURCE] * 1000), "a client's own graph"),
        (_graph(b"\x12\x02\x0a\x00", _last(digest_of_operation(b"\x12\x02\x0a\x00"))), "a client's own graph"),
    ],
)
def test_graphs_that_are_none(engine: Sampan, graph: operations.Definition, words: str) -> None:
    """A digest of nothing, an output that is not there (BuildKit 0.31.2's index panic), operations beside sources."""

    async def play() -> None:
        async with calling(engine) as caller:
            call = UnaryUnaryMethod(caller, f"{CONTROL}Solve", control.SolveRequest, control.SolveResponse)
            leading = asyncio.get_running_loop().create_task(
                call(control.SolveRequest(Ref="graphs", Session="none"), timeout=30)
            )
            ask = UnaryUnaryMethod(caller, f"{GATEWAY}Solve", gateway.SolveRequest, gateway.SolveResponse)
            try:
                with pytest.raises(GRPCError, match=re.escape(words)):
                    request = gateway.SolveRequest(Definition=graph)
                    await ask(request, timeout=30, metadata={"buildkit-controlapi-buildid": "graphs"})
            finally:
                leading.cancel()
                await asyncio.wait([leading])

    asyncio.run(play())


def test_results_of_others_cannot_be_guessed_or_kept(engine: Sampan) -> None:
    async def play() -> None:
        directory = Directory({"Dockerfile": b"FROM other\n"})
        async with offering(engine, "guess", directory), calling(engine) as caller:
            source = operations.Op(
                source=operations.SourceOp(identifier="sampan-build://" + "0" * 24)
            ).SerializeToString()
            inputs = {"other": _graph(source, _last(digest_of_operation(source)))}
            with pytest.raises(GRPCError, match="no such result"):
                await solve(
                    caller, "guess", "guess", FrontendAttrs={"context:other": "input:other"}, FrontendInputs=inputs
                )

    asyncio.run(play())


# ---- sessions and stores


def test_a_session_cannot_be_taken_over(engine: Sampan) -> None:
    async def play() -> None:
        async with offering(engine, "owned", Directory({"Dockerfile": b"FROM scratch\n"})):
            with pytest.raises(AssertionError, match="409 Conflict"):
                async with offering(engine, "owned", _silent):
                    pass
            with pytest.raises(AssertionError, match="409 Conflict"):
                upgraded(engine, "/session", "X-Docker-Expose-Session-Uuid: owned")
        with pytest.raises(AssertionError, match="400 Bad Request"):
            upgraded(engine, "/session", f"X-Docker-Expose-Session-Uuid: {'n' * 5000}")

    asyncio.run(play())


class Store:
    """A client's content store that says `size`, and sends `pieces`."""

    def __init__(self, size: int, pieces: list[bytes]) -> None:
        self.size = size
        self.pieces = pieces

    async def info(self, stream: "Stream[content.InfoRequest, content.InfoResponse]") -> None:
        request = await stream.recv_message()
        assert request is not None
        await stream.send_message(content.InfoResponse(info=content.Info(digest=request.digest, size=self.size)))

    async def read(self, stream: "Stream[content.ReadContentRequest, content.ReadContentResponse]") -> None:
        await stream.recv_message()
        for piece in self.pieces:
            await stream.send_message(content.ReadContentResponse(data=piece))

    def handlers(self) -> dict[str, Handler]:
        place = "/containerd.services.content.v1.Content/"
        one, many = Cardinality.UNARY_UNARY, Cardinality.UNARY_STREAM
        return {
            f"{place}Info": Handler(self.info, one, content.InfoRequest, content.InfoResponse),
            f"{place}Read": Handler(self.read, many, content.ReadContentRequest, content.ReadContentResponse),
        }


@pytest.mark.parametrize(
    "store",
    [Store(1 << 62, []), Store(-1, []), Store(100, [b"x" * 200]), Store(100, [b"x"]), Store(100, [b"x" * 100])],
    ids=["huge", "negative", "more", "less", "another"],
)
def test_stores_that_lie(engine: Sampan, store: Store) -> None:
    """As a cache they are a miss; as an image they are refused."""

    async def play() -> None:
        directory = Directory({"Dockerfile": b"FROM base\nRUN true\n"})
        digest = "sha256:" + "a" * 64
        async with offering(engine, "store", directory, **store.handlers()), calling(engine) as caller:
            cache = control.CacheOptionsEntry(Type="local", Attrs={"src": "/x", "digest": digest})
            with pytest.raises(GRPCError):
                await solve(caller, "store", "store", FrontendAttrs={"context:base": f"oci-layout://id@{digest}"})
            directory.files["Dockerfile"] = b"FROM busybox\nRUN true\n#"
            await solve(caller, "store", "store", Cache=control.CacheOptions(Imports=[cache]))

    asyncio.run(play())


def test_paths_of_the_daemon_are_no_caches(engine: Sampan, canary: Canary) -> None:
    """`type=local` is a directory of the client, whatever it is called."""

    async def play() -> None:
        directory = Directory({"Dockerfile": b"FROM busybox\nRUN true\n"})
        async with offering(engine, "paths", directory), calling(engine) as caller:
            for kind, attributes in (("local", {"dest": canary.path}), ("client", {"store": "local:/"})):
                entry = control.CacheOptionsEntry(Type=kind, Attrs=attributes)
                with pytest.raises(GRPCError):
                    await solve(caller, "paths", "paths", Cache=control.CacheOptions(Exports=[entry]))

    asyncio.run(play())


def test_an_upload_that_is_no_archive_and_one_without_end(engine: Sampan) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def pull(stream: "Stream[BytesMessage, BytesMessage]") -> None:
        begun.set()
        try:
            while True:
                await stream.send_message(BytesMessage(data=b"\0" * (1 << 20)))
        finally:
            ended.set()

    async def play() -> None:
        method = {"/moby.upload.v1.Upload/Pull": Handler(pull, Cardinality.STREAM_STREAM, BytesMessage, BytesMessage)}
        async with offering(engine, "upload", Directory({}), **method), calling(engine) as caller:
            attributes = {"context": "http://buildkit-session/x"}
            task = asyncio.get_running_loop().create_task(solve(caller, "upload", "upload", FrontendAttrs=attributes))
            await asyncio.wait_for(begun.wait(), 60)
            await asyncio.wait([task], timeout=1)
            task.cancel()
            await asyncio.wait([task])
            await asyncio.wait_for(ended.wait(), 60)

    asyncio.run(play())
    assert not any(path.is_file() for path in (engine.data_root / "builds").rglob("*"))


# ---- frames


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + payload


HEADERS = (
    b"\x83\x86\x04\x2c/moby.buildkit.v1.Control/ListenBuildHistory\x01\x01d"
    b"\x00\x0ccontent-type\x10application/grpc\x00\x02te\x08trailers"
)
"""A call's, nothing of it indexed."""


def broken_off(engine: Sampan, sent: Iterator[bytes], read: bool = True, most: int = 200 << 20) -> int:
    """How many bytes were taken before the daemon broke the connection off."""
    taken = 0
    until = time.monotonic() + (600 if EMULATED else 30)
    with upgraded(engine, "/grpc") as sock:
        sock.setblocking(True)
        sock.settimeout(5)
        try:
            sock.sendall(PREFACE + frame(4, 0, 0))
            for piece in sent:
                sock.sendall(piece)
                taken += len(piece)
                if taken > most or time.monotonic() > until:
                    break
                if read:
                    drain(sock)
        except (BrokenPipeError, ConnectionResetError):
            return taken
        except TimeoutError:
            # It reads no more: nothing grows.
            return taken
    pytest.fail(f"{taken} bytes were taken")


def drain(sock: socket.socket) -> None:
    sock.setblocking(False)
    try:
        while sock.recv(1 << 16):
            pass
    except BlockingIOError:
        pass
    finally:
        sock.setblocking(True)
        sock.settimeout(5)


def floods() -> dict[str, Iterator[bytes]]:
    """Endless streams of frames, by name."""
    setting = struct.pack(">HI", 4, 65535)

    def resets() -> Iterator[bytes]:
        for number in range(1, 1 << 30, 200):
            yield b"".join(
                frame(1, 4, stream, HEADERS) + frame(3, 0, stream, b"\0\0\0\x08")
                for stream in range(number, number + 200, 2)
            )

    def settings() -> Iterator[bytes]:
        while True:
            yield frame(4, 0, 0, setting) * 100

    def pings() -> Iterator[bytes]:
        while True:
            yield frame(6, 0, 0, b"12345678") * 1000

    def priorities() -> Iterator[bytes]:
        while True:
            yield frame(2, 0, 1, b"\0\0\0\0\x10") * 100

    def empty() -> Iterator[bytes]:
        yield frame(1, 4, 1, HEADERS)
        while True:
            yield frame(0, 0, 1) * 100

    def unknown() -> Iterator[bytes]:
        while True:
            yield frame(0x77, 0, 0, b"x" * 10) * 100

    def continuations() -> Iterator[bytes]:
        yield frame(1, 0, 1, HEADERS)
        while True:
            yield frame(9, 0, 1, b"\x40\x01a\x01b" * 100)

    def bomb() -> Iterator[bytes]:
        # One large header in the table, then named again and again (CVE-2016-6581).
        large = b"\x40\x01a\x7f\xa1\x1e" + b"v" * 4000
        for stream in range(1, 1 << 20, 2):
            yield frame(1, 4, stream, large + b"\xbe" * 10_000)

    return {
        "rapid reset": resets(),
        "settings": settings(),
        "pings": pings(),
        "priorities": priorities(),
        "empty frames": empty(),
        "unknown frames": unknown(),
        "continuations": continuations(),
        "header bomb": bomb(),
    }


@pytest.mark.parametrize("name", list(floods()))
def test_floods_of_frames_are_broken_off(engine: Sampan, name: str) -> None:
    assert broken_off(engine, floods()[name]) < 8 << 20


def test_answers_that_are_not_read_do_not_pile_up(engine: Sampan) -> None:
    broken_off(engine, floods()["pings"], read=False)


@pytest.mark.parametrize("size", [17 << 20, 0xFFFFFFFF])
def test_a_message_of_any_size_is_refused_before_it_is_read(engine: Sampan, size: int) -> None:
    with upgraded(engine, "/grpc") as sock:
        sock.setblocking(True)
        sock.settimeout(10)
        sock.sendall(PREFACE + frame(4, 0, 0) + frame(1, 4, 1, HEADERS))
        sock.sendall(frame(0, 0, 1, b"\0" + struct.pack(">I", size) + b"x" * 100))
        assert (1, 1) in frames(sock), "the call is not answered"


def frames(sock: socket.socket) -> Iterator[tuple[int, int]]:
    """Kind and stream of each that comes, until the connection is closed."""
    held = b""
    while piece := sock.recv(1 << 16):
        held += piece
        while len(held) >= 9 and len(held) >= 9 + (size := int.from_bytes(held[:3], "big")):
            yield held[3], int.from_bytes(held[5:9], "big")
            held = held[9 + size :]


def test_a_hundred_and_one_calls_at_once(engine: Sampan) -> None:
    """More streams than HTTP/2 was told that there may be."""
    sent = (frame(1, 4, stream, HEADERS) for stream in range(1, 2001, 2))
    assert broken_off(engine, sent) < 1 << 20
