"""BuildKit's protocol by calls of our own: what a client may get wrong, and what must end with it."""

import asyncio
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from grpclib.client import StreamStreamMethod, UnaryStreamMethod, UnaryUnaryMethod
from grpclib.const import Status
from grpclib.exceptions import GRPCError

from sampan.buildkit.definitions import digest_of_operation
from sampan.buildkit.protocol import control_pb2 as control
from sampan.buildkit.protocol import gateway_pb2 as gateway
from sampan.buildkit.protocol import operations_pb2 as operations
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


def test_passwords_in_addresses_are_told_nowhere(engine: Sampan) -> None:
    """Neither in the fault, nor in the progress, nor in the history (CVE-2023-26054)."""
    address = "http://somebody:hush@127.0.0.1:1/x.tar"

    async def play() -> None:
        async with offering(engine, "hush", Directory({})), calling(engine) as caller:
            with pytest.raises(GRPCError) as caught:
                await solve(caller, "hush", "hush", FrontendAttrs={"context": address})
            told = await status(caller, "hush")
            listen = UnaryStreamMethod(
                caller, f"{CONTROL}ListenBuildHistory", control.BuildHistoryRequest, control.BuildHistoryEvent
            )
            events = await listen(control.BuildHistoryRequest(Ref="hush", EarlyExit=True), timeout=30)
            assert events[0].record.FrontendAttrs["context"].endswith("@127.0.0.1:1/x.tar")
            for text in (str(caught.value.message), str(told), str(events)):
                assert "hush@" not in text

    asyncio.run(play())
    assert "hush@" not in engine.log.read_text()


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        (["ref~=filtered"], {"filtered-good", "filtered-bad"}),
        (["ref~=filtered,status==error"], {"filtered-bad"}),
        (["ref==filtered-good", "status==running"], {"filtered-good"}),
        (["ref~=filtered,duration>1h"], set()),
        (["ref~=filtered,startedAt>1h,completedAt>2020-01-01T00:00:00Z"], {"filtered-good", "filtered-bad"}),
    ],
)
def test_the_history_is_filtered(engine: Sampan, filters: list[str], found: set[str]) -> None:
    async def play() -> None:
        good, bad = Directory({"Dockerfile": b"FROM busybox\n"}), Directory({"Dockerfile": b"FROM busybox\nWRONG\n"})
        async with offering(engine, "good", good), offering(engine, "bad", bad), calling(engine) as caller:
            await solve(caller, "filtered-good", "good")
            with pytest.raises(GRPCError):
                await solve(caller, "filtered-bad", "bad")
            listen = UnaryStreamMethod(
                caller, f"{CONTROL}ListenBuildHistory", control.BuildHistoryRequest, control.BuildHistoryEvent
            )
            events = await listen(control.BuildHistoryRequest(Filter=filters, EarlyExit=True), timeout=30)
            assert {event.record.Ref for event in events} == found
            with pytest.raises(GRPCError, match="failed to parse filter"):
                await listen(control.BuildHistoryRequest(Filter=["wonder==1"], EarlyExit=True), timeout=30)

    asyncio.run(play())


def test_what_a_client_reads_in_a_source(engine: Sampan) -> None:
    """A graph that names a URL, as buildx sends it for a Dockerfile behind one."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "5")
            self.end_headers()
            self.wfile.write(b"hello")

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    async def play(url: str) -> None:
        source = operations.Op(
            source=operations.SourceOp(identifier=url, attrs={"http.filename": "Dockerfile"})
        ).SerializeToString()
        last = operations.Op(inputs=[operations.Input(digest=digest_of_operation(source))]).SerializeToString()
        graph = operations.Definition(**{"def": [source, last]})  # type: ignore[arg-type] # a word of Python's
        who = {"buildkit-controlapi-buildid": "reads"}
        async with offering(engine, "reads", Directory({})), calling(engine) as caller:
            lead = UnaryUnaryMethod(caller, f"{CONTROL}Solve", control.SolveRequest, control.SolveResponse)
            leading = asyncio.get_running_loop().create_task(
                lead(control.SolveRequest(Ref="reads", Session="reads"), timeout=60)
            )
            ask = UnaryUnaryMethod(caller, f"{GATEWAY}Solve", gateway.SolveRequest, gateway.SolveResponse)
            answer = await ask(gateway.SolveRequest(Definition=graph), timeout=30, metadata=who)
            ref = answer.result.ref.id
            read = UnaryUnaryMethod(caller, f"{GATEWAY}ReadFile", gateway.ReadFileRequest, gateway.ReadFileResponse)
            whole = await read(gateway.ReadFileRequest(Ref=ref, FilePath="/Dockerfile"), timeout=30, metadata=who)
            part = gateway.FileRange(Offset=1, Length=3)
            some = await read(
                gateway.ReadFileRequest(Ref=ref, FilePath="./Dockerfile", Range=part), timeout=30, metadata=who
            )
            stat = UnaryUnaryMethod(caller, f"{GATEWAY}StatFile", gateway.StatFileRequest, gateway.StatFileResponse)
            told = await stat(gateway.StatFileRequest(Ref=ref, Path="Dockerfile"), timeout=30, metadata=who)
            listing = UnaryUnaryMethod(caller, f"{GATEWAY}ReadDir", gateway.ReadDirRequest, gateway.ReadDirResponse)
            names = await listing(gateway.ReadDirRequest(Ref=ref, DirPath="/"), timeout=30, metadata=who)
            for path in ("/missing", "../../../etc/passwd"):
                with pytest.raises(GRPCError, match="no such file"):
                    await read(gateway.ReadFileRequest(Ref=ref, FilePath=path), timeout=30, metadata=who)
            end = UnaryUnaryMethod(caller, f"{GATEWAY}Return", gateway.ReturnRequest, gateway.ReturnResponse)
            await end(gateway.ReturnRequest(), timeout=30, metadata=who)
            await leading
        assert (whole.Data, some.Data, told.stat.size) == (b"hello", b"ell", 5)
        assert [one.path for one in names.entries] == ["Dockerfile"]

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        asyncio.run(play(f"http://127.0.0.1:{server.server_address[1]}/Dockerfile"))
        server.shutdown()
