"""The monitor: one process for each container or exec. Holds what must live as long as it does, and records its end.

It is forked by the launcher and outlives launcher and daemon. It holds the ends of the program's pipes or terminal, the
descriptor of the overlay, bound ports and the log, and is the parent of init. The making is done by a builder that it
forks; of that it hears only when everything stands (LIVE), so that it stays a small process.

Loaded by the launcher.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time

from sampan.cgroups import apply as cgroups
from sampan.crashpoints import crash_point
from sampan.kernel.process import Prctl, Title, close_all_but, prctl
from sampan.logs.jsonfile_writer import JsonFileWriter
from sampan.runtime import builder, record
from sampan.runtime.messages import Kind, Message, pair, receive
from sampan.runtime.pump import Pump, clients

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn


def main(message: Message, title: Title) -> NoReturn:
    """Be a monitor. Called in a fresh child of the launcher; never returns."""
    code = 1
    try:
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        close_all_but(message.descriptors)
        code = _run(message, title)
    except BaseException:  # noqa: BLE001 - the boundary of a process; the launcher's standard error is the daemon's log
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(code)


def _run(message: Message, title: Title) -> int:
    ours, theirs = pair()
    if message.body.get("exec"):
        # The program is born of a process that ends: it becomes the child of this one then.
        prctl(Prctl.SET_CHILD_SUBREAPER, 1)
    child = os.fork()
    if child == 0:
        ours.close()
        builder.main(message, title, theirs)
    theirs.close()
    message.close()
    title.set("sampan-monitor (parked)" if message.kind is Kind.PARK else "sampan-monitor (making)")
    live = receive(ours)
    _, status = os.waitpid(child, 0)
    ours.close()
    if live is not None:
        return _live(live, title)
    if os.WIFSIGNALED(status):
        # It could not take back what it had made. Init dies with this process; its groups are what is left.
        _clear_up(message)
    return 1


def _clear_up(message: Message) -> None:
    body = message.body
    if not body.get("exec"):
        builder.undo_groups(body["cgroup"]["groups"])


def _live(message: Message, title: Title) -> int:
    """From the program's first instruction to the last trace of it."""
    body, descriptors = message.body, message.descriptors
    title.set(f"sampan-{'exec' if body['exec'] else 'monitor'} {str(body['id'])[:12]}")
    if body["before"]:
        os.waitpid(body["before"], 0)
        prctl(Prctl.SET_CHILD_SUBREAPER, 0)
    channel, listener, pidfd = descriptors[:3]
    rest = descriptors[3:]
    mount, terminal, program_input = (rest.pop(0) if present else -1 for present in body["present"])
    outputs = [(rest.pop(0), int(stream)) for stream in body["streams"]]
    held = [rest.pop(0) for _ in range(int(body["held"]))]
    pump = _pump(body, terminal, program_input, outputs)
    pump.state = (Kind.STARTED, body["state"], [pidfd])
    for client in clients(body["attach"], rest, terminal >= 0):
        pump.add_client(client)
    door = socket.socket(fileno=listener)
    pump.listen(door)
    pump.add_channel(socket.socket(fileno=channel))
    pump.run(pidfd)
    for descriptor in held:
        # The ports are free before anybody hears of the end, for whoever starts it again.
        os.close(descriptor)
    ended = _end(body, pidfd)
    record.write(str(body["directory"]), {**body["record"], "exit": ended})
    crash_point("monitor-after-exit-record")
    pump.tell(Kind.EXITED, {"id": body["id"], **ended}, [])
    door.close()
    pump.finish()
    if not body["exec"]:
        builder.undo_groups(body["groups"])
    if mount >= 0:
        # The last reference to the overlay: the kernel syncs the upper file system now, with nobody waiting for it.
        os.close(mount)
    return 0


def _pump(body: dict[str, Any], terminal: int, program_input: int, outputs: list[tuple[int, int]]) -> Pump:
    log, stdio = body["log"], body["stdio"]
    writer = None
    if log:
        writer = JsonFileWriter(log["path"], log["max_size"], log["max_files"], log["attributes"].encode())
    pump = Pump(writer, terminal, bool(stdio["stdin_once"]))
    if terminal >= 0:
        pump.add_output(terminal, 1)
        program_input = terminal if stdio["open_stdin"] else -1
    for descriptor, stream in outputs:
        pump.add_output(descriptor, stream)
    if program_input >= 0:
        pump.set_input(program_input)
    return pump


def _end(body: dict[str, Any], pidfd: int) -> dict[str, Any]:
    """Reap the program and say how it ended."""
    status = os.waitid(os.P_PIDFD, pidfd, os.WEXITED)
    assert status is not None
    by_signal = status.si_code != os.CLD_EXITED
    number = status.si_status if by_signal else 0
    oom = 0 if body["exec"] else cgroups.oom_kills(body["groups"])
    cause = "oom" if oom and number == signal.SIGKILL else "signal" if by_signal else "exited"
    code = 128 + number if by_signal else status.si_status
    return {"code": code, "signal": number, "oom_killed": oom > 0, "cause": cause, "ended_ns": time.time_ns()}
