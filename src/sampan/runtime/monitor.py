"""The monitor: one process for each container or exec. Builds it, holds what must live as long as it does, records its end.

It is forked by the launcher, so that it costs little memory, and it outlives launcher and daemon. What it holds: the ends
of the program's pipes or terminal, the descriptor of the overlay, bound ports, the log. What it does, in order, is drawn
in `messages.py`; a start from a parked slot is the same ladder with a rest after the world is made.

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
from sampan.kernel.process import Title, close_all_but
from sampan.logs.jsonfile_writer import JsonFileWriter
from sampan.network import attach as network
from sampan.runtime import record, rehearsal
from sampan.runtime.birth import Birth, beget, overlay
from sampan.runtime.messages import Kind, Message, receive, send
from sampan.runtime.pump import Pump, clients
from sampan.runtime.steps import Journal, StepFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn


class Monitor:
    """What a monitor has in hand. `body` is the START, EXEC or PARK message; `channel` leads to the daemon."""

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

    @property
    def id(self) -> str:
        """The container's or exec's id."""
        return str(self.body["id"])

    def show_title(self, state: str) -> None:
        """What `ps` shows of this process."""
        kind = "exec" if self.is_exec else "monitor"
        self.title.set(f"sampan-{kind} {self.id[:12]}{state}")


def main(message: Message, title: Title) -> NoReturn:
    """Be a monitor. Called in a fresh child of the launcher; never returns."""
    code = 1
    try:
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, signal.SIG_IGN if number != signal.SIGCHLD else signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        close_all_but(message.descriptors)
        monitor = Monitor(message, title)
        parked = message.kind is Kind.PARK
        monitor.show_title(" (parked)" if parked else "")
        code = _run(monitor, parked)
    except BaseException:  # noqa: BLE001 - the boundary of a process; the launcher's standard error is the daemon's log
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(code)


def _run(monitor: Monitor, parked: bool) -> int:
    try:
        if parked and not _park(monitor):
            _undo(monitor)
            directory = str(monitor.body["directory"])
            os.unlink(f"{directory}/{record.SOCKET}")
            os.rmdir(directory)
            return 0
        _start(monitor, parked)
    except StepFailed as failure:
        _undo(monitor)
        _tell_failure(monitor, failure)
        return 1
    except Exception as error:  # noqa: BLE001 - the boundary of a process; the daemon must hear of it
        _undo(monitor)
        _tell_failure(monitor, StepFailed("other", f"{type(error).__name__}: {error}", getattr(error, "errno", 0) or 0))
        return 1
    return _live(monitor)


def _tell_failure(monitor: Monitor, failure: StepFailed) -> None:
    body = {"fault": failure.fault, "message": failure.message, "errno": failure.errno, "steps": monitor.journal.rows()}
    try:
        send(monitor.channel, Kind.FAILED, body)
    except OSError:
        # The daemon is gone too; a new one finds no record, so the start never happened.
        return


def _park(monitor: Monitor) -> bool:
    """Make a world ahead of time and wait. False where nobody wants it any more."""
    run, body = monitor.journal.run, monitor.body
    run("control groups", make_groups, body["cgroup"])
    monitor.birth = birth = run("isolation", beget, body, monitor.descriptors, monitor.title)
    if body["veth"]:
        run("isolation", network.create_veth, body["veth"], birth.pid)
        _tell_init(birth, Kind.GO)
    run("control groups", cgroups.join, body["cgroup"]["groups"], birth.pid)
    message = receive(birth.channel)
    if message is None or message.kind is not Kind.READY:
        raise _failure(message)
    prepare_record(monitor)
    send(monitor.channel, Kind.READY)
    rehearsal.of_monitor()
    start = receive(monitor.channel)
    if start is None or start.kind is not Kind.START:
        return False
    monitor.journal = Journal()
    monitor.body = start.body
    monitor.descriptors = start.descriptors
    monitor.show_title("")
    return True


def _start(monitor: Monitor, parked: bool) -> None:
    run, body = monitor.journal.run, monitor.body
    groups = body["cgroup"]["groups"]
    if monitor.birth is None:
        if not monitor.is_exec:
            run("control groups", make_groups, body["cgroup"])
        monitor.birth = run("isolation", beget, body, monitor.descriptors, monitor.title)
        crash_point("monitor-after-clone")
        if body["veth"]:
            run("isolation", network.create_veth, body["veth"], monitor.birth.pid)
    birth = monitor.birth
    _tell_init(birth, Kind.SETUP, {name: body[name] for name in ("before", "root", "enter", "init", "explain")})
    if parked:
        run("control groups", cgroups.write, groups, body["cgroup"]["writes"])
    if not monitor.is_exec:
        monitor.mount = run("union file system", overlay, body["root_mount"])
        crash_point("monitor-after-mount")
    _hand_over_root(monitor, run("runtime environment", make_stdio, monitor))
    run("runtime environment", write_record, monitor)
    crash_point("monitor-after-record")
    if body["oom_score_adj"] is not None:
        run("control groups", oom_score, birth.pid, body["oom_score_adj"])
    if not parked and not birth.in_cgroup:
        # The write waits for the kernel (RCU, 10 to 20 ms on cgroup v1); init makes its world and root meanwhile.
        run("control groups", cgroups.join, groups, birth.pid)
    _tell_init(birth, Kind.GO)
    steps = _await_exec(monitor)
    record_body = body["record"]
    body["state"] = {
        "id": monitor.id,
        "pid": birth.pid,
        "monitor": os.getpid(),
        "started_ns": record_body["started_ns"],
        "pid_start": record_body["init"][1],
    }
    if body["explain"]:
        steps = monitor.journal.rows() + steps
    send(monitor.channel, Kind.STARTED, {**body["state"], "steps": steps}, [birth.pidfd])
    crash_point("monitor-after-started")


def _hand_over_root(monitor: Monitor, stdio: list[int]) -> None:
    """Hand init the descriptors for its root and its program."""
    birth, count = monitor.birth, int(monitor.body["binds"])
    assert birth is not None
    root = [monitor.mount] if monitor.mount >= 0 else []
    binds = monitor.descriptors[:count]
    _tell_init(birth, Kind.ROOT, {"has_root": len(root), "streams": len(stdio)}, root + stdio + binds)
    for descriptor in stdio + binds:
        os.close(descriptor)
    monitor.descriptors = monitor.descriptors[count:]


def _tell_init(
    birth: Birth, kind: Kind, body: dict[str, Any] | None = None, descriptors: list[int] | None = None
) -> None:
    """Send to init; if it has ended, what it said last is read where its answer is awaited."""
    try:
        send(birth.channel, kind, body, descriptors)
    except (BrokenPipeError, ConnectionResetError):
        return


def _await_exec(monitor: Monitor) -> list[list[Any]]:
    """Wait for the end of file that a successful execve makes; the terminal's master and init's steps come before it."""
    birth = monitor.birth
    assert birth is not None
    steps: list[list[Any]] = []
    while True:
        message = receive(birth.channel)
        if message is None:
            return steps
        if message.kind is not Kind.READY:
            raise _failure(message)
        if message.descriptors:
            monitor.terminal = message.descriptors.pop(0)
        steps += message.body.get("steps", [])


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


def make_stdio(monitor: Monitor) -> list[int]:
    """Pipes for input, output and errors, or /dev/null; with a terminal init makes it. Returns the program's ends."""
    stdio = monitor.body["stdio"]
    if stdio["tty"]:
        return []
    if stdio["open_stdin"]:
        program_input, monitor.input = os.pipe()
    else:
        program_input = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    ends = [program_input]
    for stream in (1, 2):
        reading, writing = os.pipe()
        monitor.outputs.append((reading, stream))
        ends.append(writing)
    return ends


def prepare_record(monitor: Monitor) -> None:
    """The directory of the record, the socket in it, and what of the record is known before the start."""
    birth = monitor.birth
    assert birth is not None
    directory = str(monitor.body["directory"])
    os.makedirs(directory, 0o700, exist_ok=True)
    monitor.listener = _listen(directory)
    monitor.identity = {
        "version": 1,
        "boot": record.boot_id(),
        "monitor": [os.getpid(), record.start_time(os.getpid())],
        "init": [birth.pid, record.start_time(birth.pid)],
    }


def write_record(monitor: Monitor) -> None:
    """The record that a later daemon finds, before the program may run."""
    if not monitor.identity:
        prepare_record(monitor)
    body = {
        **monitor.identity,
        "id": monitor.id,
        "container": monitor.body["container"],
        "started_ns": time.time_ns(),
        "groups": monitor.body["cgroup"]["groups"],
    }
    record.write(str(monitor.body["directory"]), body)
    monitor.body["record"] = body


def _live(monitor: Monitor) -> int:
    """From the program's first instruction to the last trace of it."""
    body, birth = monitor.body, monitor.birth
    assert birth is not None
    directory = str(body["directory"])
    listener = monitor.listener
    assert listener is not None
    log = body["log"]
    writer = JsonFileWriter(log["path"], log["max_size"], log["max_files"]) if log else None
    pump = Pump(writer, monitor.terminal, bool(body["stdio"]["stdin_once"]))
    if monitor.terminal >= 0:
        pump.add_output(monitor.terminal, 1)
        if body["stdio"]["open_stdin"]:
            pump.set_input(monitor.terminal)
    else:
        for descriptor, stream in monitor.outputs:
            pump.add_output(descriptor, stream)
        if monitor.input >= 0:
            pump.set_input(monitor.input)
    pump.state = (Kind.STARTED, body["state"], [birth.pidfd])
    held = int(body["held"])
    attached = monitor.descriptors[held:]
    for client in clients(body["attach"], attached, monitor.terminal >= 0):
        pump.add_client(client)
    pump.listen(listener)
    pump.add_channel(monitor.channel)
    pump.run(birth.pidfd)
    ended = _end(monitor)
    for descriptor in monitor.descriptors[:held]:
        # The ports are free before anybody hears of the end, for whoever starts it again.
        os.close(descriptor)
    body["record"]["exit"] = ended
    record.write(directory, body["record"])
    crash_point("monitor-after-exit-record")
    pump.tell(Kind.EXITED, {"id": monitor.id, **ended}, [])
    listener.close()
    pump.finish()
    _undo(monitor)
    return 0


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


def _end(monitor: Monitor) -> dict[str, Any]:
    """Reap the program and say how it ended."""
    birth = monitor.birth
    assert birth is not None
    status = os.waitid(os.P_PIDFD, birth.pidfd, os.WEXITED)
    assert status is not None
    by_signal = status.si_code != os.CLD_EXITED
    number = status.si_status if by_signal else 0
    groups = monitor.body["cgroup"]["groups"]
    oom = 0 if monitor.is_exec else cgroups.oom_kills(groups)
    cause = "oom" if oom and number == signal.SIGKILL else "signal" if by_signal else "exited"
    code = 128 + number if by_signal else status.si_status
    return {"code": code, "signal": number, "oom_killed": oom > 0, "cause": cause, "ended_ns": time.time_ns()}


def _undo(monitor: Monitor) -> None:
    """Take back what was made: processes, control groups, the mount. What stays is the record of a program that ran."""
    birth = monitor.birth
    if birth is not None:
        _kill(birth)
    if monitor.is_exec:
        return
    groups = monitor.body["cgroup"]["groups"]
    if cgroups.procs(groups):
        ending.kill(groups)
    ending.remove(groups)
    if monitor.mount >= 0:
        # The last reference to the overlay: the kernel syncs the upper file system now, with nobody waiting for it.
        os.close(monitor.mount)


def _kill(birth: Birth) -> None:
    try:
        signal.pidfd_send_signal(birth.pidfd, signal.SIGKILL)
        select.select([birth.pidfd], [], [], 5)
        os.waitid(os.P_PIDFD, birth.pidfd, os.WEXITED)
    except (ProcessLookupError, ChildProcessError):
        # It has ended and is reaped.
        return
