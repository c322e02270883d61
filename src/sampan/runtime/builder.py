"""The builder: makes one container or exec, hands it to its monitor, and ends.

It is forked by the monitor, so that the pages which this work unshares from the launcher go with it and a monitor stays
small; init is made as the monitor's child (CLONE_PARENT). What it does, in order, is drawn in `messages.py`; a start from
a parked slot is the same ladder with a rest after the world is made.

Loaded by the launcher.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import time

from sampan.cgroups import apply as cgroups
from sampan.cgroups import ending
from sampan.crashpoints import crash_point
from sampan.kernel.process import Prctl, Title, prctl
from sampan.network import attach as network
from sampan.runtime import record, rehearsal
from sampan.runtime.birth import Birth, beget, overlay
from sampan.runtime.messages import Kind, Message, receive, send
from sampan.runtime.steps import Journal, StepFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn


class Build:
    """What a builder has in hand. `body` is the START, EXEC or PARK message; `channel` leads to the daemon."""

    def __init__(self, message: Message, title: Title) -> None:
        self.body = message.body
        self.channel = socket.socket(fileno=message.descriptors[0])
        self.descriptors = message.descriptors[1:]
        self.journal = Journal()
        self.title = title
        self.birth: Birth | None = None
        self.mount = -1
        self.outputs: list[tuple[int, int]] = []
        self.input = -1
        self.terminal = -1
        self.identity: dict[str, Any] = {}
        self.listener: socket.socket | None = None
        self.is_exec = bool(message.body.get("exec"))
        self.before: Birth | None = None
        """An exec's first process, which stays outside the container's pid namespace."""

    @property
    def id(self) -> str:
        """The container's or exec's id."""
        return str(self.body["id"])


def main(message: Message, title: Title, monitor: socket.socket) -> NoReturn:
    """Be a builder. `monitor` leads to the parent. Called in a fresh child; never returns."""
    code = 1
    try:
        prctl(Prctl.SET_PDEATHSIG, signal.SIGKILL)
        build = Build(message, title)
        title.set(f"sampan-builder {build.id[:12]}{' (parked)' if message.kind is Kind.PARK else ''}")
        code = _run(build, message.kind is Kind.PARK, monitor)
    except BaseException:  # noqa: BLE001 - the boundary of a process; the launcher's standard error is the daemon's log
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(code)


def _run(build: Build, parked: bool, monitor: socket.socket) -> int:
    try:
        if parked and not _park(build):
            _undo(build)
            directory = str(build.body["directory"])
            os.unlink(f"{directory}/{record.SOCKET}")
            os.rmdir(directory)
            return 0
        _start(build, parked)
    except StepFailed as failure:
        _undo(build)
        _tell_failure(build, failure)
        return 1
    except Exception as error:  # noqa: BLE001 - the boundary of a process; the daemon must hear of it
        _undo(build)
        _tell_failure(build, StepFailed("other", f"{type(error).__name__}: {error}", getattr(error, "errno", 0) or 0))
        return 1
    _hand_over(build, monitor)
    return 0


def _tell_failure(build: Build, failure: StepFailed) -> None:
    body = {"fault": failure.fault, "message": failure.message, "errno": failure.errno, "steps": build.journal.rows()}
    try:
        send(build.channel, Kind.FAILED, body)
    except OSError:
        # The daemon is gone too; a new one finds no record, so the start never happened.
        return


def _park(build: Build) -> bool:
    """Make a world ahead of time and wait. False where nobody wants it any more."""
    run, body = build.journal.run, build.body
    run("control groups", make_groups, body["cgroup"])
    build.birth = birth = run("isolation", beget, body, build.descriptors, build.title)
    if body["veth"]:
        run("isolation", network.create_veth, body["veth"], birth.pid)
        _tell_init(birth, Kind.GO)
    message = receive(birth.channel)
    if message is None or message.kind is not Kind.READY:
        raise _failure(message)
    prepare_record(build)
    send(build.channel, Kind.READY)
    rehearsal.of_monitor()
    if birth.pidfd in select.select([build.channel, birth.pidfd], [], [])[0]:
        # Init was killed: a start must not find that out.
        return False
    start = receive(build.channel)
    if start is None or start.kind is not Kind.START:
        return False
    build.journal = Journal()
    build.body = start.body
    build.descriptors = start.descriptors
    build.title.set(f"sampan-builder {build.id[:12]}")
    return True


def _start(build: Build, parked: bool) -> None:
    run, body = build.journal.run, build.body
    groups = body["cgroup"]["groups"]
    if build.birth is None:
        if not build.is_exec:
            run("control groups", make_groups, body["cgroup"])
        build.birth = run("isolation", beget, body, build.descriptors, build.title)
        crash_point("monitor-after-clone")
        if body["veth"]:
            run("isolation", network.create_veth, body["veth"], build.birth.pid)
    birth = build.birth
    setup = {name: body[name] for name in ("before", "root", "enter", "init", "explain")}
    _tell_init(birth, Kind.SETUP, {**setup, "exec": build.is_exec})
    if parked:
        run("control groups", cgroups.write, groups, body["cgroup"]["writes"])
    if not build.is_exec:
        build.mount = run("union file system", overlay, body["root_mount"])
        crash_point("monitor-after-mount")
    _hand_over_root(build, run("runtime environment", make_stdio, build))
    if not build.is_exec:
        run("runtime environment", write_record, build)
        crash_point("monitor-after-record")
    if body["oom_score_adj"] is not None:
        run("control groups", oom_score, birth.pid, body["oom_score_adj"])
    _tell_init(birth, Kind.GO)
    steps: list[list[Any]] = []
    if build.is_exec:
        steps = _await_inside(build)
        birth = build.birth
        assert birth is not None
        run("runtime environment", write_record, build)
        crash_point("monitor-after-record")
        _tell_init(birth, Kind.GO)
    steps += _await_exec(build)
    if build.before is not None:
        # Gone before the monitor hears of it, so that the program is the monitor's own child.
        kill(build.before.pidfd)
    record_body = body["record"]
    body["state"] = {
        "id": build.id,
        "pid": birth.pid,
        "monitor": os.getppid(),
        "started_ns": record_body["started_ns"],
        "pid_start": record_body["init"][1],
    }
    if body["explain"]:
        steps = build.journal.rows() + steps
    send(build.channel, Kind.STARTED, {**body["state"], "steps": steps}, [birth.pidfd])
    crash_point("monitor-after-started")


def _hand_over_root(build: Build, stdio: list[int]) -> None:
    """Hand init the descriptors for its root and its program."""
    birth, count = build.birth, int(build.body["binds"])
    assert birth is not None
    root = [build.mount] if build.mount >= 0 else []
    binds = build.descriptors[:count]
    _tell_init(birth, Kind.ROOT, {"has_root": len(root), "streams": len(stdio)}, root + stdio + binds)
    for descriptor in stdio + binds:
        os.close(descriptor)
    build.descriptors = build.descriptors[count:]


def _tell_init(
    birth: Birth, kind: Kind, body: dict[str, Any] | None = None, descriptors: list[int] | None = None
) -> None:
    """Send to init; if it has ended, what it said last is read where its answer is awaited."""
    try:
        send(birth.channel, kind, body, descriptors)
    except (BrokenPipeError, ConnectionResetError):
        return


def _await_exec(build: Build) -> list[list[Any]]:
    """Wait for the end of file that a successful execve makes; the terminal's master and init's steps come before it."""
    birth = build.birth
    assert birth is not None
    steps: list[list[Any]] = []
    while True:
        message = receive(birth.channel)
        if message is None:
            return steps
        if message.kind is not Kind.READY:
            raise _failure(message)
        if message.descriptors:
            build.terminal = message.descriptors.pop(0)
        steps += message.body.get("steps", [])


def _await_inside(build: Build) -> list[list[Any]]:
    """Wait until an exec's process stands in the container's pid namespace, and take that one from now on."""
    before = build.birth
    assert before is not None
    steps: list[list[Any]] = []
    while True:
        message = receive(before.channel)
        if message is None or message.kind is not Kind.READY:
            raise _failure(message)
        if message.descriptors:
            build.terminal = message.descriptors.pop(0)
        steps += message.body.get("steps", [])
        if "inside" in message.body:
            break
    pid = int(message.body["inside"])
    pidfd = os.pidfd_open(pid)
    if record.parent(pid) != before.pid:
        os.close(pidfd)
        raise StepFailed("other", "init was replaced on its way into the container")
    build.before = before
    build.birth = Birth(pid, pidfd, before.channel)
    return steps


def _failure(message: Message | None) -> StepFailed:
    if message is None or message.kind is not Kind.FAILED:
        return StepFailed("other", "init ended before the program was executed")
    body = message.body
    return StepFailed(str(body["fault"]), str(body["message"]), int(body["errno"]))


def make_groups(cgroup: dict[str, Any]) -> None:
    """The container's directory in each hierarchy, with its limits."""
    cgroups.create(cgroup["groups"])
    cgroups.write(cgroup["groups"], cgroup["writes"])
    if cgroup["device_program"]:
        cgroups.guard_devices(cgroup["groups"], bytes.fromhex(cgroup["device_program"]))


def oom_score(pid: int, value: int) -> None:
    """How readily the kernel kills the program when memory runs out; lowering it needs CAP_SYS_RESOURCE."""
    with open(f"/proc/{pid}/oom_score_adj", "w") as file:
        try:
            file.write(str(value))
            file.flush()
        except PermissionError as error:
            raise StepFailed(
                "other", f"oom_score_adj {value}: the engine lacks CAP_SYS_RESOURCE on this host", 1
            ) from error


def make_stdio(build: Build) -> list[int]:
    """Pipes for input, output and errors, or /dev/null; with a terminal init makes it. Returns the program's ends."""
    stdio = build.body["stdio"]
    if stdio["tty"]:
        return []
    if stdio["open_stdin"]:
        program_input, build.input = os.pipe()
    else:
        program_input = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    ends = [program_input]
    for stream in (1, 2):
        reading, writing = os.pipe()
        build.outputs.append((reading, stream))
        ends.append(writing)
    return ends


def prepare_record(build: Build) -> None:
    """The directory of the record, the socket in it, and what of the record is known before the start."""
    birth = build.birth
    assert birth is not None
    directory = str(build.body["directory"])
    os.makedirs(directory, 0o700, exist_ok=True)
    build.listener = _listen(directory)
    build.identity = {
        "version": 1,
        "boot": record.boot_id(),
        "monitor": [os.getppid(), record.start_time(os.getppid())],
        "init": [birth.pid, record.start_time(birth.pid)],
    }


def write_record(build: Build) -> None:
    """The record that a later daemon finds, before the program may run."""
    if not build.identity:
        prepare_record(build)
    body = {
        **build.identity,
        "id": build.id,
        "container": build.body["container"],
        "started_ns": time.time_ns(),
        "groups": build.body["cgroup"]["groups"],
    }
    record.write(str(build.body["directory"]), body)
    build.body["record"] = body


def _hand_over(build: Build, monitor: socket.socket) -> None:
    """Give the monitor what lives as long as the container: the descriptors, and the few facts that it needs."""
    body, birth = build.body, build.birth
    assert birth is not None
    assert build.listener is not None
    ends = [build.mount, build.terminal, build.input]
    live = {
        "id": build.id,
        "exec": build.is_exec,
        "directory": body["directory"],
        "stdio": body["stdio"],
        "log": body["log"],
        "attach": body["attach"],
        "held": body["held"],
        "groups": body["cgroup"]["groups"],
        "state": body["state"],
        "record": body["record"],
        "present": [descriptor >= 0 for descriptor in ends],
        "streams": [stream for _, stream in build.outputs],
        "before": build.before.pid if build.before is not None else 0,
    }
    descriptors = [build.channel.fileno(), build.listener.fileno(), birth.pidfd]
    descriptors += [descriptor for descriptor in ends if descriptor >= 0]
    descriptors += [descriptor for descriptor, _ in build.outputs]
    send(monitor, Kind.LIVE, live, descriptors + build.descriptors)


def _listen(directory: str) -> socket.socket:
    """The socket on which a later daemon finds this monitor. Its directory is 0700."""
    path = f"{directory}/{record.SOCKET}"
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    # Bound through the directory's descriptor: a data root may be deeper than the 107 bytes of sun_path.
    opened = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        listener.bind(f"/proc/self/fd/{opened}/{record.SOCKET}")
    finally:
        os.close(opened)
    os.chmod(path, 0o600)
    listener.listen(4)
    return listener


def _undo(build: Build) -> None:
    """Take back what was made: processes, control groups, the mount."""
    for birth in (build.birth, build.before):
        if birth is not None:
            kill(birth.pidfd)
    if not build.is_exec:
        undo_groups(build.body["cgroup"]["groups"])


def kill(pidfd: int) -> None:
    """Kill the process and wait for its end; its parent reaps it."""
    try:
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        select.select([pidfd], [], [], 5)
    except ProcessLookupError:
        # It has ended and is reaped.
        return


def undo_groups(groups: dict[str, str]) -> None:
    """Remove the control groups, and before them whatever still stands in them."""
    if cgroups.procs(groups):
        ending.kill(groups)
    ending.remove(groups)
