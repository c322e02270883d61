"""Containers and execs as the API calls them: one short method per verb, carried through when its client has gone."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from sampan.daemon import (
    attach,
    checkpoints,
    create,
    exec_create,
    exec_start,
    inspect,
    kill,
    pause,
    prune,
    remove,
    rename,
    resize,
    start,
    stats,
    stop,
    top,
    update,
)
from sampan.daemon.attach import AttachableContainer
from sampan.daemon.engine import Engine
from sampan.daemon.exec_start import StartableExec
from sampan.daemon.list import list_containers
from sampan.daemon.log_clearing import clear_log
from sampan.daemon.logs import LogLines, open_log
from sampan.spec import containers as c
from sampan.spec import requests as r
from sampan.spec.checkpoints import CheckpointCreateRequest
from sampan.spec.events import Message
from sampan.spec.execs import ExecCreateRequest, ExecCreateResponse, ExecInspect, ExecStartRequest, ProcessConfig
from sampan.spec.explain import ExplainedStep
from sampan.spec.host_config import UpdateRequest

if TYPE_CHECKING:
    from sampan.daemon.plugin_logs import PluginLines

T = TypeVar("T")


async def _through(work: Coroutine[Any, Any, T]) -> T:
    """What changes a container is not stopped half-way by a client that leaves."""
    return await asyncio.shield(asyncio.get_running_loop().create_task(work))


class ContainersApi:
    """Implements `api.backend.Containers`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def create(
        self, request: c.CreateRequest, name: str, platform: str, caller: tuple[int, int] | None
    ) -> c.CreateResponse:
        """See the Protocol, here and below."""
        return await _through(create.create(self._engine, request, name, platform, caller))

    async def inspect(self, name: str, size: bool) -> c.ContainerInspect:
        """Everything about one container."""
        return await inspect.inspect(self._engine, name, size=size)

    async def list(self, options: r.ContainerListOptions) -> Sequence[c.ContainerSummary]:
        """Containers, newest first."""
        return await list_containers(self._engine, options)

    async def start(self, name: str, options: r.StartOptions) -> None:
        """Start it."""
        await _through(start.start(self._engine, name, options))

    async def steps(self, name: str) -> Sequence[ExplainedStep]:
        """What the last explained start did."""
        return [
            ExplainedStep(
                principle=step.principle,
                name=step.name,
                operands=step.operands,
                at_us=step.at_us,
                took_us=step.took_us,
                source=step.source,
            )
            for step in self._engine.find(name).steps
        ]

    async def stop(self, name: str, signal: str, timeout: int | None) -> None:
        """Stop it."""
        await _through(stop.stop(self._engine, name, signal, timeout))

    async def restart(self, name: str, signal: str, timeout: int | None) -> None:
        """Stop it where it runs, and start it."""
        await _through(stop.restart(self._engine, name, signal, timeout))

    async def kill(self, name: str, signal: str) -> None:
        """Send a signal."""
        await _through(kill.kill(self._engine, name, signal))

    async def pause(self, name: str) -> None:
        """Freeze it."""
        await _through(pause.pause(self._engine, name))

    async def unpause(self, name: str) -> None:
        """Let it go on."""
        await _through(pause.unpause(self._engine, name))

    async def top(self, name: str, ps_args: str) -> c.TopResponse:
        """Its processes."""
        return await top.top(self._engine, name, ps_args)

    async def stats(self, name: str, stream: bool, one_shot: bool) -> AsyncIterator[bytes]:
        """What it uses."""
        return stats.stats(self._engine, name, stream=stream, one_shot=one_shot)

    async def wait(self, name: str, condition: r.WaitCondition) -> Awaitable[c.WaitResponse]:
        """Begin to wait."""
        return self._engine.find(name).wait(condition)

    async def logs(self, name: str, options: r.LogOptions) -> "LogLines | PluginLines":
        """Its log."""
        return await open_log(self._engine, name, options)

    async def clear_log(self, name: str) -> None:
        """Begin its log anew."""
        await _through(clear_log(self._engine, name))

    async def attach(self, name: str, options: r.AttachOptions) -> AttachableContainer:
        """Check that a client can attach."""
        return attach.attach(self._engine, name, options)

    async def resize(self, name: str, rows: int, columns: int) -> None:
        """Set the size of the terminal."""
        await resize.container(self._engine, name, rows, columns)

    async def update(self, name: str, request: UpdateRequest) -> c.UpdateResponse:
        """Change its limits."""
        return await _through(update.update(self._engine, name, request))

    async def rename(self, name: str, new_name: str) -> None:
        """Give it another name."""
        await _through(rename.rename(self._engine, name, new_name))

    async def remove(self, name: str, options: r.RemoveOptions) -> None:
        """Remove it."""
        await _through(remove.remove(self._engine, name, options))

    async def prune(self, filters: r.Filters) -> c.ContainersPruneReport:
        """Remove all stopped containers that match."""
        return await _through(prune.prune(self._engine, filters))


class ExecsApi:
    """Implements `api.backend.Execs`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def create(self, container: str, request: ExecCreateRequest) -> ExecCreateResponse:
        """Prepare one."""
        return ExecCreateResponse(id=exec_create.create(self._engine, container, request).id)

    async def inspect(self, exec_id: str) -> ExecInspect:
        """How it stands."""
        exec_ = self._engine.execs.find(exec_id)
        asked = exec_.request
        words = asked.cmd or ("",)
        return ExecInspect(
            id=exec_.id,
            running=exec_.running,
            exit_code=exec_.exit_code,
            process_config=ProcessConfig(
                tty=asked.tty,
                entrypoint=words[0],
                arguments=words[1:],
                privileged=asked.privileged,
                user=asked.user,
            ),
            open_stdin=asked.attach_stdin,
            open_stderr=asked.attach_stderr,
            open_stdout=asked.attach_stdout,
            can_remove=exec_.exit_code is not None,
            container_id=exec_.container,
            detach_keys=asked.detach_keys,
            pid=exec_.pid,
        )

    async def start(self, exec_id: str, request: ExecStartRequest) -> StartableExec:
        """Check that it can start."""
        return exec_start.start(self._engine, exec_id, request)

    async def start_detached(self, exec_id: str, request: ExecStartRequest) -> None:
        """Start it without streams."""
        await _through(exec_start.start_detached(self._engine, exec_id, request))

    async def resize(self, exec_id: str, rows: int, columns: int) -> None:
        """Set the size of its terminal."""
        await resize.exec_(self._engine, exec_id, rows, columns)


class CheckpointsApi:
    """Implements `api.backend.Checkpoints`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def create(self, container: str, request: CheckpointCreateRequest) -> None:
        """Make one of a running container."""
        await _through(checkpoints.create(self._engine, container, request))

    async def names(self, container: str, directory: str) -> Sequence[str]:
        """The names of a container's."""
        return checkpoints.names(self._engine, container, directory)

    async def remove(self, container: str, name: str, directory: str) -> None:
        """Remove one."""
        await _through(checkpoints.remove(self._engine, container, name, directory))


class EventsApi:
    """Implements `api.backend.Events`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def subscribe(self, options: r.EventOptions) -> AsyncIterator[Message]:
        """Events from the past and on as they come."""
        return self._engine.events.stream(options.since, options.until, options.filters)
