"""Where the daemon's work is traced: which methods have a span, and what a monitor's steps become. Loaded only where asked for.

    request (api.traced) ─▶ create, start ─▶ runtime.start ─▶ launcher.fork
                                                         └──▶ a span for each step of builder and init, as they report them
                          ─▶ exec          ─▶ runtime.exec ─▶ the same of the exec's monitor
                          ─▶ pull          ─▶ image.pull ─▶ registry requests
                          ─▶ build         ─▶ build.step

Launcher and monitors load nothing for it: they measure their steps anyway, and say them where they are asked to explain.
"""

import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import wraps
from typing import Any
from urllib.parse import urlsplit

from sampan.build.operations import Place
from sampan.build.vertices import Vertices
from sampan.daemon.engine import Engine
from sampan.images.pulling import Puller
from sampan.registry.transport import Transport
from sampan.runtime.client import RuntimeClient
from sampan.runtime.launcher_port import LauncherPort
from sampan.runtime.messages import Kind
from sampan.runtime.request import ExecRequest, Running, StartRequest, Step
from sampan.runtime.start_failure import StartFailed
from sampan.telemetry.tracing import Attributes, Tracing

_Method = Callable[..., Any]


def hold_spans(tracing: Tracing) -> None:
    """From now on the methods below have spans, in every object of their classes. Before anything is assembled, once."""
    for kind, name, traced in (
        (RuntimeClient, "start", _started),
        (RuntimeClient, "exec", _executed),
        (LauncherPort, "fork", _forked),
        (Engine, "commit", _committed),
        (Vertices, "make", _made),
        (Puller, "pull", _pulled),
        (Transport, "send", _sent),
    ):
        setattr(kind, name, traced(tracing, getattr(kind, name)))


def _started(tracing: Tracing, method: _Method) -> _Method:
    @wraps(method)
    async def start(self: RuntimeClient, request: StartRequest) -> Running:
        with tracing.span("runtime.start", {"container.id": request.id}) as span:
            asked = replace(request, explain=True) if span.is_recording() else request
            return await _with_steps(tracing, method(self, asked))

    return start


def _executed(tracing: Tracing, method: _Method) -> _Method:
    @wraps(method)
    async def execute(self: RuntimeClient, request: ExecRequest) -> Running:
        with tracing.span("runtime.exec", {"container.id": request.container, "sampan.exec.id": request.id}) as span:
            asked = replace(request, explain=True) if span.is_recording() else request
            return await _with_steps(tracing, method(self, asked))

    return execute


async def _with_steps(tracing: Tracing, work: Awaitable[Running]) -> Running:
    try:
        running = await work
    except StartFailed as failed:
        _tell(tracing, failed.steps)
        raise
    _tell(tracing, running.steps)
    return running


def _tell(tracing: Tracing, steps: tuple[Step, ...]) -> None:
    """Their times count from the first; the last one ended just now. Without operands, in which paths and arguments are."""
    ended = time.time_ns()
    length = max((step.at_us + step.took_us for step in steps), default=0)
    for step in steps:
        began = ended - (length - step.at_us) * 1000
        told = {"sampan.principle": step.principle, "code.filepath": step.source}
        tracing.done(step.name.strip(), began, step.took_us * 1000, told)


def _forked(tracing: Tracing, method: _Method) -> _Method:
    @wraps(method)
    async def fork(self: LauncherPort, kind: Kind, body: object, descriptors: list[int]) -> int:
        with tracing.span("launcher.fork", {"sampan.message": kind.name}):
            return int(await method(self, kind, body, descriptors))

    return fork


def _committed(tracing: Tracing, method: _Method) -> _Method:
    @wraps(method)
    async def commit(self: Engine, changes: Any) -> None:  # noqa: ANN401 - passed on
        with tracing.span("state.commit"):
            await method(self, changes)

    return commit


def _made(tracing: Tracing, method: _Method) -> _Method:
    @wraps(method)
    async def make(self: Vertices, place: Place, inputs: Any) -> object:  # noqa: ANN401 - passed on
        vertex = self.vertex(place)
        operation = type(vertex.operation).__name__
        told: Attributes = {"sampan.build.stage": vertex.stage, "sampan.build.line": vertex.at.start.line}
        # Not the instruction's text: a build's arguments may stand in it.
        with tracing.span(f"build.step {operation}", told):
            return await method(self, place, inputs)

    return make


def _pulled(tracing: Tracing, method: _Method) -> _Method:
    @wraps(method)
    def pull(self: Puller, wish: Any, *more: Any, **named: Any) -> object:  # noqa: ANN401 - passed on
        with tracing.span("image.pull", {"sampan.image": wish.reference.familiar}):
            return method(self, wish, *more, **named)

    return pull


def _sent(tracing: Tracing, method: _Method) -> _Method:
    @wraps(method)
    def send(self: Transport, host: Any, verb: str, url: str, *more: Any, **named: Any) -> object:  # noqa: ANN401 - passed on
        parts = urlsplit(url)
        told: Attributes = {"http.request.method": verb, "server.address": parts.hostname or "", "url.path": parts.path}
        with tracing.span(f"registry {verb}", told):
            return method(self, host, verb, url, *more, **named)

    return send
