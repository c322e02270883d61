"""Spans of OpenTelemetry, where the environment asks for them (OTEL_*); a daemon that nobody asked does not load this.

What the variables mean is the SDK's business (sampan[otel]): endpoint, headers, certificates, time-outs, sampler, resource, limits.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.context import get_current
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from sampan.version import VERSION

_NAME = "sampan"
_CARRIED = ("traceparent", "tracestate")
_LONGEST = 512
"""Bytes of such a header: W3C's longest state that must be passed on."""
_FLUSH_MILLISECONDS = 1000

Attributes = Mapping[str, str | int]


class Tracing:
    """The spans of one process. Its exporter has a thread of its own."""

    def __init__(self, service: str) -> None:
        """`service` is its name where OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES give none."""
        named = Resource.create({"service.version": VERSION})
        if str(named.attributes.get("service.name", "")).startswith("unknown_service"):
            named = named.merge(Resource({"service.name": service}))
        self._provider = TracerProvider(resource=named, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer(_NAME, VERSION)
        self._propagator = TraceContextTextMapPropagator()

    @contextmanager
    def span(self, name: str, attributes: Attributes | None = None) -> Iterator[Span]:
        """A span below the current one, until the end of the block; an exception in it is its failure, by its type alone."""
        with self._tracer.start_as_current_span(
            name, attributes=attributes, record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                yield span
            except Exception as error:
                failed(span, error)
                raise

    def served(self, name: str, headers: Mapping[bytes, bytes], attributes: Attributes) -> Span:
        """A span for a client's request, below the one that its `traceparent` names, else the current one. The caller ends it."""
        carrier = {
            each: headers[each.encode()].decode("latin-1")
            for each in _CARRIED
            if len(headers.get(each.encode(), b"")) in range(1, _LONGEST + 1)
        }
        context = self._propagator.extract(carrier, get_current())
        return self._tracer.start_span(name, context=context, kind=SpanKind.SERVER, attributes=attributes)

    def done(self, name: str, began_ns: int, took_ns: int, attributes: Attributes) -> None:
        """A span below the current one for what was done elsewhere and is over; times since the epoch."""
        span = self._tracer.start_span(name, attributes=attributes, start_time=began_ns)
        span.end(began_ns + took_ns)

    def flush(self) -> None:
        """Have what is over sent; for a second at most. Blocks."""
        self._provider.force_flush(_FLUSH_MILLISECONDS)


@contextmanager
def within(span: Span, *, ends: bool) -> Iterator[None]:
    """What is done in the block is below `span`, which ends with it where `ends`."""
    with trace.use_span(span, end_on_exit=ends, record_exception=False, set_status_on_exception=False):
        yield


def failed(span: Span, error: BaseException) -> None:
    """Not by its words: they may hold what a client sent."""
    span.set_status(Status(StatusCode.ERROR, type(error).__name__))
