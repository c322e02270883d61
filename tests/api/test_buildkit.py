"""BuildKit's protocol by calls of our own: what a client may get wrong, and what must end with it."""

import asyncio
import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from grpclib.client import StreamStreamMethod, UnaryUnaryMethod
from grpclib.const import Status
from grpclib.exceptions import GRPCError

from sampan.buildkit.protocol import control_pb2 as control
from sampan.buildkit.protocol import gateway_pb2 as gateway
from sampan.buildkit.synced import METHOD
from tests.api.grpc_clients import CONTROL, GATEWAY, Directory, calling, offering, solve, status, upgraded
from tests.daemons import Sampan, running_sampan
from tests.requires import requires
from tests.waiting import eventually

pytestmark = requires("root", "overlay", "netns", "bridge", "nftables", "busybox")


@pytest.fixture(scope="module")
def engine() -> Iterator[Sampan]:
    with running_sampan() as started:
        started.load_busybox()
        yield started


def test_a_build_its_status_and_its_image(engine: Sampan) -> None:
    async def play() -> None:
        files = {"Dockerfile": b"FROM busybox\nCOPY f /f\nRUN cat /f\n", "f": b"content\n"}
        async with offering(engine, "one", Directory(files)), calling(engine) as caller:
            exporter = control.Exporter(Type="image", Attrs={"name": "by-grpc:latest"})
            answer, told = await asyncio.gather(
                solve(caller, "ref-one", "one", Exporters=[exporter]), status(caller, "ref-one")
            )
            names = {vertex.name for message in told for vertex in message.vertexes}
            assert {"[1/3] FROM busybox", "[2/3] COPY f /f", "[3/3] RUN cat /f"} <= names
            logs = b"".join(log.msg for message in told for log in message.logs)
            assert logs == b"content\n"
            assert answer.ExporterResponse["image.name"] == "by-grpc:latest"
            image = engine.docker("inspect", "-f", "{{.Id}}", "by-grpc").text
            assert answer.ExporterResponse["containerimage.digest"] == image

    asyncio.run(play())


@pytest.mark.parametrize(
    ("more", "code", "words"),
    [
        ({"Frontend": "gateway.v0"}, Status.UNIMPLEMENTED, "the front end 'gateway.v0'"),
        ({"FrontendAttrs": {"wonder": "1"}}, Status.UNIMPLEMENTED, "the build attribute 'wonder'"),
        ({"FrontendAttrs": {"force-network-mode": "host"}}, Status.UNKNOWN, "network.host is not allowed"),
        ({"Entitlements": ["security.insecure"]}, Status.UNKNOWN, "security.insecure is not allowed"),
        ({"Entitlements": ["device.all"]}, Status.UNKNOWN, "unknown entitlement device.all"),
        ({"Exporters": [control.Exporter(Type="wonder")]}, Status.UNKNOWN, "exporter 'wonder' could not be found"),
        ({"Ref": ""}, Status.ALREADY_EXISTS, "a build needs an id"),
    ],
)
def test_what_is_refused(engine: Sampan, more: dict[str, object], code: Status, words: str) -> None:
    async def play() -> None:
        directory = Directory({"Dockerfile": b"FROM busybox\nRUN true\n"})
        async with offering(engine, "refused", directory), calling(engine) as caller:
            method = UnaryUnaryMethod(caller, f"{CONTROL}Solve", control.SolveRequest, control.SolveResponse)
            wanted = {"Ref": "refused", "Session": "refused", "Frontend": "dockerfile.v0", **more}
            with pytest.raises(GRPCError, match=re.escape(words)) as caught:
                await method(control.SolveRequest(**wanted), timeout=30)  # type: ignore[arg-type]
            assert caught.value.status is code

    asyncio.run(play())


def commands() -> Iterator[bytes]:
    """Of every process that there is."""
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(FileNotFoundError, ProcessLookupError):
            yield each.read_bytes()


def test_a_build_ends_when_its_client_goes(engine: Sampan) -> None:
    def running() -> bool:
        return any(b"sleep\x003219" in command for command in commands())

    async def play() -> None:
        directory = Directory({"Dockerfile": b"FROM busybox\nRUN sleep 3219\n"})
        async with offering(engine, "goes", directory):
            async with calling(engine) as caller:
                task = asyncio.get_running_loop().create_task(solve(caller, "goes", "goes"))
                await asyncio.to_thread(eventually, running, "the step does not begin")
            await asyncio.wait([task])
            assert task.exception() is not None
        await asyncio.to_thread(eventually, lambda: not running(), "the step goes on")

    asyncio.run(play())


def test_the_gateway_knows_only_builds_that_there_are_and_a_build_only_sessions(engine: Sampan) -> None:
    async def play() -> None:
        async with calling(engine) as caller:
            ping = UnaryUnaryMethod(caller, f"{GATEWAY}Ping", gateway.PingRequest, gateway.PongResponse)
            with pytest.raises(GRPCError, match="no buildid found in context"):
                await ping(gateway.PingRequest(), timeout=30)
            # Both are waited for, a few seconds each, as a client may be about to open them.
            answers = await asyncio.gather(
                ping(gateway.PingRequest(), timeout=30, metadata={"buildkit-controlapi-buildid": "nothing"}),
                solve(caller, "without", "nobody"),
                return_exceptions=True,
            )
            job, session = (answer for answer in answers if isinstance(answer, GRPCError))
            assert "no such job nothing" in str(job)
            assert (session.status, "no active session for nobody" in str(session)) == (Status.UNKNOWN, True)

    asyncio.run(play())


def test_two_sessions_of_one_id(engine: Sampan) -> None:
    async def play() -> None:
        async with offering(engine, "twin", Directory({})):
            answer = await asyncio.to_thread(_status_of_session, engine, "twin")
            assert answer == 409

    asyncio.run(play())
    assert _status_of_session(engine, "") == 400


def _status_of_session(engine: Sampan, name: str) -> int:
    """What a further session of that id is answered; "" sends none."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(20)
        sock.connect(str(engine.socket))
        header = f"X-Docker-Expose-Session-Uuid: {name}\r\n" if name else ""
        sock.sendall(
            f"POST /session HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n{header}\r\n".encode()
        )
        return int(sock.recv(100).split()[1])


@pytest.mark.parametrize("path", ["/grpc", "/session"])
@pytest.mark.parametrize(
    ("upgrade", "words"), [("", "no upgrade proto in request"), ("tcp", "protocol tcp not supported")]
)
def test_other_protocols(engine: Sampan, path: str, upgrade: str, words: str) -> None:
    headers = {"Connection": "Upgrade", "Upgrade": upgrade} if upgrade else {}
    answer = engine.api("POST", path, headers=headers)
    assert (answer.status, answer.json()) == (500, {"message": words})


def test_bytes_that_are_no_http2(engine: Sampan) -> None:
    for path in ("/grpc", "/session"):
        headers = () if path == "/grpc" else ("X-Docker-Expose-Session-Uuid: noise",)
        with upgraded(engine, path, *headers) as sock:
            sock.setblocking(True)
            sock.settimeout(20)
            try:
                sock.sendall(b"\x00\xff" * 50_000)
                while sock.recv(65536):
                    pass
            except (BrokenPipeError, ConnectionResetError):
                pass
    assert engine.api("GET", "/_ping").status == 200


def test_a_session_in_a_call(engine: Sampan) -> None:
    async def play() -> None:
        async with calling(engine) as caller:
            method = StreamStreamMethod(caller, f"{CONTROL}Session", control.BytesMessage, control.BytesMessage)
            metadata = [("x-docker-expose-session-uuid", "inside"), ("x-docker-expose-session-grpc-method", METHOD)]
            async with method.open(metadata=metadata) as stream:
                await stream.send_request()
                first = await stream.recv_message()
                assert first is not None
                assert first.data.startswith(b"PRI * HTTP/2.0")
                answer = await asyncio.to_thread(_status_of_session, engine, "inside")
                assert answer == 409
                await stream.end()

    asyncio.run(play())
