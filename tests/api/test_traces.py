"""Traces by OTLP: what a collector is told of create, start, exec, pull and build, below the client's own span.

It is decoded with OpenTelemetry's own messages.
"""

import asyncio
import http.server
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from grpclib.client import UnaryUnaryMethod
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from sampan.buildkit.protocol import control_pb2 as control
from tests.api.grpc_clients import CONTROL, calling
from tests.archives import Layer
from tests.daemons import Sampan, running_sampan
from tests.requires import requires
from tests.waiting import eventually

pytestmark = requires("root", "overlay", "bridge", "busybox")

SECRET = "hush-hush-42"


@dataclass
class Collector:
    """Whatever was posted to /v1/traces, decoded."""

    requests: list[ExportTraceServiceRequest] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)

    def spans(self, trace: str = "") -> list[Span]:
        found = [
            span
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]
        return [span for span in found if not trace or span.trace_id.hex() == trace]

    def wait_for(self, trace: str, *names: str) -> dict[str, Span]:
        """The spans of one trace by their names, as soon as all of these are there."""
        eventually(lambda: set(names) <= {span.name for span in self.spans(trace)}, f"not all of {names} in {trace}")
        return {span.name: span for span in self.spans(trace)}

    def service(self) -> set[str]:
        return {
            pair.value.string_value
            for request in self.requests
            for resource in request.resource_spans
            for pair in resource.resource.attributes
            if pair.key == "service.name"
        }


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    found = Collector()

    class Receiver(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            assert self.path == "/v1/traces"
            assert self.headers["Content-Type"] == "application/x-protobuf"
            found.raw.append(body)
            found.requests.append(ExportTraceServiceRequest.FromString(body))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        patch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield found
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def engine(collector: Collector) -> Iterator[Sampan]:
    assert collector.requests == []
    with running_sampan("--debug") as started:
        started.load_busybox()
        yield started


def below(number: int) -> tuple[str, dict[str, str]]:
    """A client's trace, and the header that tells of it."""
    trace = f"{number:032x}"
    return trace, {"traceparent": f"00-{trace}-00000000000000aa-01"}


def attributes(span: Span) -> dict[str, object]:
    return {pair.key: pair.value.string_value or pair.value.int_value for pair in span.attributes}


def create(engine: Sampan, name: str, *command: str, headers: dict[str, str] | None = None) -> None:
    body = {"Image": "busybox", "Cmd": list(command), "Env": [f"A={SECRET}"], "HostConfig": {"NetworkMode": "none"}}
    assert engine.api("POST", f"/containers/create?name={name}", body, headers=headers).status == 201


def test_a_start_is_told_step_by_step_below_the_clients_span(engine: Sampan, collector: Collector) -> None:
    trace, headers = below(1)
    create(engine, "one", "sleep", "1000", headers=headers)
    assert engine.api("POST", "/containers/one/start", headers=headers).status == 204
    spans = collector.wait_for(
        trace, "POST /containers/create", "POST /containers/{name}/start", "runtime.start", "overlay"
    )
    served = spans["POST /containers/{name}/start"]
    assert (served.kind, served.parent_span_id.hex()) == (Span.SPAN_KIND_SERVER, "00000000000000aa")
    assert attributes(served)["http.response.status_code"] == 204
    assert attributes(served)["url.path"] == "/containers/one/start"
    assert spans["runtime.start"].parent_span_id == served.span_id
    assert spans["overlay"].parent_span_id == spans["runtime.start"].span_id
    assert attributes(spans["overlay"])["sampan.principle"] == "union file system"
    assert spans["state.commit"].parent_span_id == spans["POST /containers/create"].span_id
    for span in spans.values():
        assert served.start_time_unix_nano - 60 * 10**9 < span.start_time_unix_nano <= span.end_time_unix_nano
    assert collector.service() == {"sampand"}


def test_an_exec_whose_connection_is_given_away(engine: Sampan, collector: Collector) -> None:
    trace, headers = below(2)
    made = engine.api("POST", "/containers/one/exec", {"Cmd": ["echo", SECRET], "AttachStdout": True}).json()
    assert isinstance(made, dict)
    assert engine.api("POST", f"/exec/{made['Id']}/start", {}, headers=headers).status == 200
    spans = collector.wait_for(trace, "POST /exec/{name}/start", "runtime.exec", "write record")
    assert spans["runtime.exec"].parent_span_id == spans["POST /exec/{name}/start"].span_id
    assert spans["write record"].parent_span_id == spans["runtime.exec"].span_id


def test_a_failure_is_one_without_its_words(engine: Sampan, collector: Collector) -> None:
    trace, headers = below(3)
    create(engine, "bad", f"/{SECRET}")
    assert engine.api("POST", "/containers/bad/start", headers=headers).status >= 400
    spans = collector.wait_for(trace, "runtime.start")
    assert spans["runtime.start"].status.code == Status.STATUS_CODE_ERROR
    assert spans["runtime.start"].status.message == "StartFailed"


def test_a_build_and_a_pull(engine: Sampan, collector: Collector) -> None:
    trace, headers = below(4)
    context = Layer()
    context.file("Dockerfile", f"FROM busybox\nRUN echo {SECRET}\nCOPY Dockerfile /\n".encode())
    built = engine.api("POST", "/build?networkmode=none&t=made", context.tar(), headers=headers)
    assert b"Successfully tagged" in built.body
    spans = collector.wait_for(trace, "POST /build", "build.step Run", "build.step Copy")
    assert attributes(spans["build.step Run"])["sampan.build.line"] == 2
    assert spans["POST /build"].end_time_unix_nano >= spans["build.step Copy"].end_time_unix_nano
    trace, headers = below(5)
    assert engine.api("POST", "/images/create?fromImage=127.0.0.1:1/a&tag=b", headers=headers).status == 500
    spans = collector.wait_for(trace, "POST /images/create", "image.pull", "registry GET")
    assert spans["registry GET"].status.code == Status.STATUS_CODE_ERROR
    assert attributes(spans["registry GET"])["server.address"] == "127.0.0.1"


def test_a_call_of_grpc_is_below_what_its_metadata_names(engine: Sampan, collector: Collector) -> None:
    trace, headers = below(8)

    async def ask() -> None:
        async with calling(engine) as caller:
            method = UnaryUnaryMethod(
                caller, f"{CONTROL}ListWorkers", control.ListWorkersRequest, control.ListWorkersResponse
            )
            await method(control.ListWorkersRequest(), metadata=headers)

    asyncio.run(ask())
    (span,) = collector.wait_for(trace, f"{CONTROL[1:]}ListWorkers").values()
    assert (span.kind, span.parent_span_id.hex()) == (Span.SPAN_KIND_SERVER, "00000000000000aa")


def test_a_span_that_is_not_sampled_is_not_sent(engine: Sampan, collector: Collector) -> None:
    trace, headers = below(6)
    off = {"traceparent": headers["traceparent"].removesuffix("01") + "00"}
    assert engine.api("GET", "/version", headers=off).status == 200
    later, headers = below(7)
    assert engine.api("GET", "/version", headers={"traceparent": "00-nonsense"}).status == 200
    assert engine.api("GET", "/version", headers=headers).status == 200
    collector.wait_for(later, "GET /version")
    assert collector.spans(trace) == []


def test_no_secret_is_sent(engine: Sampan, collector: Collector) -> None:
    assert engine.api("GET", "/_ping").status == 200
    assert collector.raw
    assert not any(SECRET.encode() in body for body in collector.raw)


def test_what_cannot_be_done_is_said_and_the_daemon_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    with running_sampan() as started:
        assert "no traces: grpc is not implemented" in started.log.read_text()
