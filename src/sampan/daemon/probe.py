"""One health check: an exec without a client, whose first bytes of output are kept and whose time is bounded."""

import asyncio
import signal
import socket
import struct
import time

from sampan.daemon import exec_create, exec_start, health_rules
from sampan.daemon.container import Container
from sampan.daemon.engine import Engine
from sampan.daemon.execs import Exec
from sampan.daemon.times import go_duration, rfc3339
from sampan.errors import SampanError, System
from sampan.runtime.request import AttachSpec
from sampan.spec.execs import ExecCreateRequest, ExecStartRequest
from sampan.spec.health import HealthcheckResult, HealthConfig

_START_SECONDS = 30.0
"""For the exec to reach its program; that does not count as the check's own time."""
_END_SECONDS = 15.0
"""For a killed check to end, and for its last output to arrive."""
_KEPT_BYTES = 4096
_FRAME = struct.Struct(">BxxxI")


async def check(engine: Engine, container: Container, config: HealthConfig) -> HealthcheckResult:
    """Run the container's check once. A check that could not run has failed with -1; cancelled, it is killed."""
    began = time.time_ns()
    try:
        code, output = await _run(engine, container, config)
    except SampanError as error:
        code, output = -1, str(error)
    return HealthcheckResult(start=rfc3339(began), end=rfc3339(time.time_ns()), exit_code=code, output=output)


async def _run(engine: Engine, container: Container, config: HealthConfig) -> tuple[int, str]:
    words = health_rules.command(container.definition.config)
    asked = ExecCreateRequest(attach_stdout=True, attach_stderr=True, cmd=words)
    probe = exec_create.create(engine, container.id, asked)
    probe.over = asyncio.get_running_loop().create_future()
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    reading = asyncio.get_running_loop().create_task(_read(ours))
    try:
        await _start(engine, container, probe, theirs)
        patience = health_rules.patience(config)
        try:
            code = await asyncio.wait_for(asyncio.shield(probe.over), patience / 1e9)
        except TimeoutError:
            text = f"Health check exceeded timeout ({go_duration(patience)})"
            await _kill(engine, probe)
            output = await _rest(reading)
            return -1, f"{text}: {output}" if output else text
        return code, await _rest(reading)
    finally:
        # Where the program still runs, the end of its only client is the end of it, too.
        reading.cancel()
        ours.close()
        engine.execs.forget(probe.id)


async def _start(engine: Engine, container: Container, probe: Exec, theirs: socket.socket) -> None:
    client = AttachSpec(sock=theirs, detach_keys=b"")
    try:
        async with asyncio.timeout(_START_SECONDS):
            await exec_start.run(engine, probe, ExecStartRequest(), (client,))
    except TimeoutError as error:
        raise System(f"timed out starting health check for container {container.id}") from error
    finally:
        theirs.close()


async def _kill(engine: Engine, probe: Exec) -> None:
    assert probe.over is not None
    try:
        engine.runtime.signal(probe.id, signal.SIGKILL)
        await asyncio.wait_for(asyncio.shield(probe.over), _END_SECONDS)
    except (KeyError, TimeoutError):
        # It ended by itself just now, or the kernel does not let go of it: the check has failed either way.
        return


async def _rest(reading: "asyncio.Task[str]") -> str:
    try:
        return await asyncio.wait_for(reading, _END_SECONDS)
    except TimeoutError:
        return ""


async def _read(sock: socket.socket) -> str:
    """The first bytes of what the monitor sends, both streams in their order; the rest is read and dropped."""
    loop = asyncio.get_running_loop()
    unread, kept, more = bytearray(), bytearray(), False
    while data := await loop.sock_recv(sock, 1 << 16):
        unread += data
        while len(unread) >= _FRAME.size:
            end = _FRAME.size + int(_FRAME.unpack_from(unread)[1])
            if len(unread) < end:
                break
            room = _KEPT_BYTES - len(kept)
            more = more or end - _FRAME.size > room
            kept += unread[_FRAME.size : min(end, _FRAME.size + room)]
            del unread[:end]
    return kept.decode(errors="replace") + ("..." if more else "")
