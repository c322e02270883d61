"""The daemon's side of checkpoints: is there a criu that works here, and the checkpointer that drives it.

A checkpointer is executed by the daemon, in the host's mount namespace and a session of its own, and outlives it.
"""

import asyncio
import fcntl
import json
import os
import subprocess
import sys

from sampan.runtime import aside_plan, criu
from sampan.runtime.channel import Channel
from sampan.runtime.checkpointer import CHANNEL, IMAGES, PARENT
from sampan.runtime.messages import Kind, Message, pair
from sampan.runtime.monitored import Monitored
from sampan.runtime.plan import Json
from sampan.runtime.request import Dump, DumpFailed, StartRequest
from sampan.runtime.start_failure import StartFailed, StartFault

_PROGRAM = "import sys; sys.path.append(sys.argv.pop()); from sampan.runtime.checkpointer import main; main()"
_PADDING = " " * 64
_CHECK_SECONDS = 60
_OUTPUT_LIMIT = 64 * 1024


class Checkpoints:
    """criu on this host. `environment` is what it is looked for in, and all that a checkpointer gets."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment
        self._working = ""

    async def program(self) -> str:
        """The path of a criu whose own check passes; asked once, until it does. Raises DumpFailed with criu's reason."""
        found = find_program("criu", self._environment.get("PATH", os.defpath))
        if not found:
            raise DumpFailed('exec: "criu": executable file not found in $PATH')
        if found != self._working:
            await asyncio.get_running_loop().run_in_executor(None, check, found, self._environment)
            self._working = found
        return found

    async def restore_body(self, request: StartRequest, directory: str, means: aside_plan.Means) -> Json:
        """The RESTORE message for a start from a checkpoint. Raises StartFailed where criu does not work here."""
        try:
            program = await self.program()
        except DumpFailed as error:
            raise StartFailed(StartFault.RESTORE, str(error)) from error
        return aside_plan.restore(request, directory, means, program)

    async def dump(self, monitored: Monitored, request: Dump) -> None:
        """Dump a running container; returns when it is done, whatever time it takes. Raises DumpFailed."""
        order = dump_order(monitored.id, monitored.pid, monitored.pid_start, await self.program(), request)
        ours, theirs = pair()
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def heard(message: Message) -> None:
            if message.kind is Kind.READY:
                _settle(done, None)
            else:
                _settle(done, DumpFailed(str(message.body.get("message", ""))))
            message.close()

        channel = Channel(ours, heard, lambda: _settle(done, DumpFailed("the process that drives criu ended")))
        try:
            pid = self._spawn(order, theirs.fileno(), request)
            theirs.close()
            try:
                await done
            finally:
                await asyncio.get_running_loop().run_in_executor(None, os.waitpid, pid, 0)
        finally:
            theirs.close()
            channel.close()

    def _spawn(self, order: str, channel: int, request: Dump) -> int:
        # Copies far above: what is to become 3 must not overwrite what is to become 4.
        high = [_high(descriptor) for descriptor in (channel, request.images, request.parent)]
        try:
            targets = zip((CHANNEL, IMAGES, PARENT), high, strict=True)
            return os.posix_spawn(
                sys.executable,
                [sys.executable, "-I", "-S", "-B", "-c", _PROGRAM, order, _PADDING, aside_plan.source()],
                self._environment,
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                    *((os.POSIX_SPAWN_DUP2, descriptor, target) for target, descriptor in targets),
                ],
                setsid=True,
            )
        finally:
            for descriptor in high:
                os.close(descriptor)


def find_program(name: str, path: str) -> str:
    """A program by the directories of `path`, "" where it is in none. (`shutil` would load decompressors into an idle daemon.)"""
    candidates = (f"{directory}/{name}" for directory in path.split(":") if directory)
    return next((candidate for candidate in candidates if os.access(candidate, os.X_OK)), "")


def _high(descriptor: int) -> int:
    return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, PARENT + 1)


def _settle(done: "asyncio.Future[None]", error: DumpFailed | None) -> None:
    if done.done():
        return
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)


def dump_order(container: str, pid: int, pid_start: int, program: str, request: Dump) -> str:
    """What a checkpointer is told, as it reads it."""
    return json.dumps(
        {
            "id": container,
            "pid": pid,
            "pid_start": pid_start,
            "criu": program,
            "staging": request.staging,
            "name": request.name,
            "destinations": request.destinations,
            "leave_running": request.leave_running,
        }
    )


def check(program: str, environment: dict[str, str]) -> None:
    """`criu check`: whether this kernel has what criu needs. Blocks. Raises DumpFailed with what criu says."""
    try:
        done = subprocess.run(
            [program, "check"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_CHECK_SECONDS,
            env=environment,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DumpFailed(f"criu check: {error}") from error
    if done.returncode:
        said = done.stdout[:_OUTPUT_LIMIT].decode(errors="replace")
        raise DumpFailed(f"criu check failed: {criu.reason(said) or f'exit status {done.returncode}'}")
