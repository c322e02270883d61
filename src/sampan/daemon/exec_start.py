"""Exec, second step: the process runs, with a client's streams or without."""

import logging
from dataclasses import replace

import msgspec

from sampan.cgroups.plan import CgroupPlan
from sampan.crashpoints import crash_point
from sampan.daemon import runtimes
from sampan.daemon.container import Container
from sampan.daemon.engine import Engine
from sampan.daemon.exec_create import active
from sampan.daemon.execs import Exec
from sampan.daemon.hijack import refuse
from sampan.daemon.start_faults import BadStart, translate_failure
from sampan.errors import Conflict, SampanError, System
from sampan.runtime import profile_capabilities, profile_options
from sampan.runtime.request import AttachSpec, ExecRequest, Exit, Stdio
from sampan.runtime.seccomp_document import for_container
from sampan.runtime.start_failure import StartFailed, StartFault
from sampan.spec.execs import ExecStartRequest
from sampan.spec.ids import ContainerId, ExecId
from sampan.spec.oci_runtime import ConsoleSize, Process, Seccomp
from sampan.spec.requests import Hijacked

_log = logging.getLogger("sampan.daemon")
_EXEC_PREFIX = "OCI runtime exec failed: exec failed: unable to start container process: "


class StartableExec:
    """An exec that was checked: its start comes with the client's connection."""

    def __init__(self, engine: Engine, exec_: Exec, request: ExecStartRequest) -> None:
        self._engine = engine
        self._exec = exec_
        self._request = request

    @property
    def tty(self) -> bool:
        """Whether the stream is raw. The start says so, whatever the exec was created with: Docker frames by it."""
        return self._request.tty

    async def take(self, connection: Hijacked) -> None:
        """Start with the client's streams. A fault is written to the connection, as Docker does."""
        asked = self._exec.request
        spec = AttachSpec(
            sock=connection.sock,
            pending=connection.pending,
            stdin=asked.attach_stdin,
            stdout=asked.attach_stdout,
            stderr=asked.attach_stderr,
            detach_keys=self._exec.detach_keys,
            framed=not self.tty,
        )
        try:
            await run(self._engine, self._exec, self._request, (spec,))
        except SampanError as error:
            refuse(connection, str(error), raw=self.tty)
        else:
            connection.sock.close()


def check(engine: Engine, exec_id: str) -> Exec:
    """The exec, if it may start now. Raises NotFound, Conflict in Docker's wording."""
    exec_ = engine.execs.find(exec_id)
    active(engine, exec_.container)
    if exec_.exit_code is not None:
        raise Conflict(f"exec command {exec_.id} has already run")
    if exec_.started:
        raise Conflict(f"exec command {exec_.id} is already running")
    return exec_


def start(engine: Engine, exec_id: str, request: ExecStartRequest) -> StartableExec:
    """The first half of a start with streams: nothing runs before `take`."""
    return StartableExec(engine, check(engine, exec_id), request)


async def start_detached(engine: Engine, exec_id: str, request: ExecStartRequest) -> None:
    """Start without streams; returns when the program has been executed."""
    await run(engine, check(engine, exec_id), request, ())


async def run(engine: Engine, exec_: Exec, request: ExecStartRequest, attach: tuple[AttachSpec, ...]) -> None:
    """Have the runtime execute it. Raises BadStart, System, Conflict; the clients' connections are then still open.

    InvalidParameter where the container's runtime is configured no more.
    """
    container = active(engine, exec_.container)
    exec_ = check(engine, exec_.id)
    runtime = runtimes.find(engine.config, container.definition.host.runtime)
    exec_.started = exec_.running = True
    engine.event(container, f"exec_start: {exec_.command}", {"execID": exec_.id})
    asked = exec_.request
    # The runtime closes what it is given; a refusal needs the connection once more.
    attach = tuple(_duplicate(spec) for spec in attach)
    try:
        running = await engine.runtime.exec(
            ExecRequest(
                id=exec_.id,
                container=container.id,
                process=_sized(exec_, request),
                stdio=Stdio(tty=asked.tty, open_stdin=asked.attach_stdin, stdin_once=True, tied=exec_.over is not None),
                seccomp=_seccomp(engine, container),
                cgroup=CgroupPlan(dict(engine.runtime.groups(container.id))),
                attach=attach,
                users=container.definition.users,
                runtime=runtime,
            )
        )
    except KeyError as error:
        engine.execs.ended(exec_.id, 126)
        raise Conflict(f"container {container.id} is not running") from error
    except StartFailed as error:
        translated, code = translate_failure(error)
        engine.execs.ended(exec_.id, code if code != 128 else 126)
        text = str(translated)
        if error.fault is StartFault.RUNTIME:
            raise type(translated)(f"OCI runtime exec failed: {error.message}: unknown") from error
        head, found, rest = text.partition("unable to start container process: ")
        kind = BadStart if isinstance(translated, BadStart) else System
        raise kind(_EXEC_PREFIX + rest if found else head) from error
    crash_point("exec-after-request")
    exec_.ran = True
    exec_.settled.set()
    if exec_.exit_code is None:
        exec_.pid = running.pid


def _duplicate(spec: AttachSpec) -> AttachSpec:
    return replace(spec, sock=spec.sock.dup())


def _sized(exec_: Exec, request: ExecStartRequest) -> Process:
    size = request.console_size
    if not (exec_.request.tty and size and any(size)):
        return exec_.process
    return msgspec.structs.replace(exec_.process, console_size=ConsoleSize(height=size[0], width=size[1]))


def _seccomp(engine: Engine, container: Container) -> Seccomp | None:
    """The container's own filter: `--privileged` of an exec adds capabilities and nothing else, as in Docker."""
    host, around = container.definition.host, engine.around
    options = profile_options.parse(host.security_opt or ())
    caps = profile_capabilities.granted(host.cap_add or (), host.cap_drop or (), host.privileged, around.capabilities)
    return for_container(options.seccomp, host.privileged, caps, around.machine, around.kernel, around.seccomp)


def on_exec_exit(engine: Engine, container_id: ContainerId, exec_id: ExecId, ended: Exit) -> None:
    """The runtime says that an exec has ended."""
    exec_ = engine.execs.ended(exec_id, ended.code)
    container = engine.containers.get(container_id)
    if exec_ is not None and container is not None:
        engine.event(container, "exec_die", {"execID": exec_id, "exitCode": str(ended.code)})
