"""What is done to a container that stands: start, kill, delete, pause, resume, update, and what it holds."""

import errno
import os
import select
import signal

import msgspec

from sampan.cgroups import apply as groups
from sampan.cgroups import change, scopes
from sampan.cgroups.plan import CgroupPlan
from sampan.errors import Conflict, InvalidParameter, NotFound, System
from sampan.kernel.namespaces import Clone
from sampan.oci import hooks
from sampan.oci.containers import GATE, SAID, Container, Kept
from sampan.runtime.record import start_time

_KILL_SECONDS = 10.0
_SAID_LIMIT = 8192


def start(container: Container) -> None:
    """Let the program of a created container be executed. Raises NotFound, Conflict, System."""
    lock = container.lock()
    try:
        kept = container.load()
        status = container.status(kept)
        if status == "running":
            raise Conflict("cannot start an already running container")
        if status != "created":
            raise Conflict(f"cannot start a container in the {status} state")
        said = os.open(container.directory / SAID, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            _open_gate(container)
            os.unlink(container.directory / GATE)
            if kept.hooks.start_container:
                _await_hooks(said)
        finally:
            os.close(said)
        hooks.run("poststart", kept.hooks.poststart, container.state(kept))
    finally:
        lock.close()


def _open_gate(container: Container) -> None:
    try:
        # Without a reader: it has ended since.
        gate = os.open(container.directory / GATE, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ENXIO, errno.ENOENT):
            raise System("container process is already dead") from error
        raise
    try:
        os.write(gate, b"\n")
    finally:
        os.close(gate)


def _await_hooks(said: int) -> None:
    """Until init has run its own hooks, each of which has its time. Raises System for one that failed."""
    os.set_blocking(said, True)
    text = b""
    while len(text) < _SAID_LIMIT and (part := os.read(said, _SAID_LIMIT)):
        text += part
    if text:
        raise System(text.decode("utf-8", "replace"))


def kill(container: Container, number: int, *, everyone: bool) -> None:
    """Send a signal to init, or to all its processes. Raises NotFound, and Conflict where it does not run."""
    kept = container.load()
    if everyone:
        if number == signal.SIGKILL and kept.groups:
            groups.kill(kept.groups, _KILL_SECONDS)
            return
        for pid in _everyone(kept):
            _signal(pid, number)
        return
    if container.status(kept) == "stopped":
        raise Conflict("container not running")
    _to_init(kept, number)


def _to_init(kept: Kept, number: int) -> None:
    """By descriptor: a number that is used again meanwhile is not hit."""
    pid, started = kept.init
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError as error:
        raise Conflict("container not running") from error
    try:
        if start_time(pid) != started:
            raise Conflict("container not running")
        signal.pidfd_send_signal(pidfd, number)
    except (ProcessLookupError, FileNotFoundError) as error:
        raise Conflict("container not running") from error
    finally:
        os.close(pidfd)


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def delete(container: Container, *, force: bool) -> None:
    """Remove what is left of a container. With `force` one that runs is killed first, and one that is not there is no fault.

    Raises NotFound, Conflict, System.
    """
    try:
        lock = container.lock()
    except NotFound:
        if force:
            return
        raise
    try:
        try:
            kept = container.load()
        except NotFound:
            # Its making was cut off.
            container.forget()
            if not force:
                raise
            return
        status = container.status(kept)
        if status not in ("created", "stopped") and not force:
            raise Conflict(f"cannot delete container {container.name} that is not stopped: {status}")
        end(kept)
        state = container.state(kept)
        container.forget()
        hooks.run("poststop", kept.hooks.poststop, state)
    except TimeoutError as error:
        raise System(f"unable to kill all processes of {container.name}: {error.strerror}") from error
    finally:
        lock.close()


def end(kept: Kept) -> None:
    """Kill all of it, and remove its control groups. Raises OSError."""
    if not kept.groups:
        _kill_init(kept)
    groups.kill(kept.groups, _KILL_SECONDS)
    groups.remove(kept.groups)


def _kill_init(kept: Kept) -> None:
    """Without control groups all ends with init, whose pid namespace the kernel clears (pid_namespaces(7))."""
    try:
        pidfd = os.pidfd_open(kept.init[0])
    except ProcessLookupError:
        return
    try:
        if start_time(kept.init[0]) != kept.init[1]:
            return
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        if not select.select([pidfd], [], [], _KILL_SECONDS)[0]:
            raise TimeoutError(errno.ETIMEDOUT, "init does not end")
    except (ProcessLookupError, FileNotFoundError):
        return
    finally:
        os.close(pidfd)


def _everyone(kept: Kept) -> list[int]:
    """Process ids: those in its control groups, or without any those in init's pid namespace and below it."""
    if kept.groups:
        return groups.procs(kept.groups)
    if not kept.namespaces & Clone.NEWPID:
        raise System(
            "without control groups and without a pid namespace of its own a container's processes are not known"
        )
    own = _pid_namespace(kept.init[0])
    return sorted(
        int(name) for name in os.listdir("/proc") if name.isdecimal() and own == _pid_namespace(int(name)) != ""
    )


def _pid_namespace(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")
    except OSError:
        # Another's, or gone.
        return ""


def pause(container: Container) -> None:
    """Freeze it. Raises NotFound, Conflict, System."""
    kept = container.load()
    if container.status(kept) not in ("running", "created"):
        raise Conflict("container not running")
    if not kept.groups:
        raise System(f"cannot pause {container.name}: it has no control groups")
    try:
        groups.freeze(kept.groups).close()
    except OSError as error:
        raise System(f"cannot pause {container.name}: {error.strerror}") from error


def resume(container: Container) -> None:
    """Let it go on. Raises NotFound, Conflict."""
    kept = container.load()
    if container.status(kept) != "paused":
        raise Conflict("container not paused")
    groups.thaw(kept.groups)


def update(container: Container, wanted: CgroupPlan) -> None:
    """Other limits, all of them or none. Raises NotFound, Conflict, System."""
    lock = container.lock()
    try:
        kept = container.load()
        if container.status(kept) == "stopped":
            raise Conflict("container not running")
        try:
            if wanted.scope is not None:
                scopes.change(kept.scope, wanted.scope.limits)
            change.change(kept.groups, change.difference(kept.writes, wanted.writes))
        except OSError as error:
            raise System(f"unable to set limits of {container.name}: {error}") from error
        # The next update goes by what stands now, not by what stood at first.
        asked = {(controller, file) for controller, file, _ in wanted.writes}
        unchanged = tuple(write for write in kept.writes if write[:2] not in asked)
        container.keep(msgspec.structs.replace(kept, writes=(*unchanged, *wanted.writes)))
    finally:
        lock.close()


def processes(container: Container) -> list[int]:
    """Process ids on the host. Raises NotFound, Conflict."""
    kept = container.load()
    if container.status(kept) == "stopped":
        raise Conflict("container not running")
    return _everyone(kept)


def signal_number(text: str) -> int:
    """`9`, `KILL`, `SIGKILL`, `RTMIN+3`. Raises InvalidParameter."""
    if text.isdecimal() and len(text) < 4:
        number = int(text)
    else:
        name = text.upper().removeprefix("SIG")
        base, plus, more = name.partition("+")
        found = getattr(signal, f"SIG{base}", None)
        if not isinstance(found, int) or (plus and not more.isdecimal()):
            raise InvalidParameter(f"unknown signal {text[:40]!r}")
        number = int(found) + (int(more) if plus else 0)
    if not 0 < number < signal.NSIG:
        raise InvalidParameter(f"unknown signal {text[:40]!r}")
    return number
