"""The builder: makes one container, hands it to its monitor, and ends.

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
import time

from sampan.cgroups import apply as cgroups
from sampan.cgroups import ending, scopes
from sampan.crashpoints import crash_point
from sampan.kernel.process import Prctl, Title, prctl
from sampan.runtime import aside, holding, link, record, rehearsal, users
from sampan.runtime.birth import Birth, beget, failure
from sampan.runtime.messages import Kind, Message, receive, send
from sampan.runtime.stdio import Streams, open_streams
from sampan.runtime.steps import Journal, StepFailed
from sampan.runtime.union import overlay
from sampan.telemetry import lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn


class Build:
    """What a builder has in hand. `body` is the START or PARK message; `channel` leads to the daemon."""

    def __init__(self, message: Message, title: Title) -> None:
        self.body = message.body
        self.channel = socket.socket(fileno=message.descriptors[0])
        self.descriptors = message.descriptors[1:]
        self.journal = Journal()
        self.title = title
        self.birth: Birth | None = None
        self.holder = 0
        """the child that holds the container's scope until init stands in it"""
        self.mount = -1
        self.users = -1
        """the container's user namespace, where it has one of its own"""
        self.streams = Streams()
        self.identity: dict[str, Any] = {}
        self.listener: socket.socket | None = None

    @property
    def id(self) -> str:
        """The container's id."""
        return str(self.body["id"])


def main(message: Message, title: Title, monitor: socket.socket, parent: int) -> NoReturn:
    """Be a builder. `monitor` leads to the parent, whose pid is `parent`. Called in a fresh child; never returns."""
    code = 1
    try:
        prctl(Prctl.SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            # It was killed before the signal was asked for, and nobody would take back what is made from here on.
            os._exit(code)
        build = Build(message, title)
        lines.speak_as(f"builder of {build.id[:12]}", str(message.body.get("request_id", "")))
        title.set(f"sampan-builder {build.id[:12]}{' (parked)' if message.kind is Kind.PARK else ''}")
        code = _run(build, message.kind, monitor)
    except BaseException as error:  # noqa: BLE001 - the boundary of a process; the launcher's standard error is the daemon's log
        lines.broken(error)
    finally:
        os._exit(code)


def _run(build: Build, kind: Kind, monitor: socket.socket) -> int:
    parked = kind is Kind.PARK
    try:
        if kind in aside.DRIVERS:
            aside.step_aside(build, kind, monitor)
        if parked and not _park(build):
            undo(build)
            _remove_record(str(build.body["directory"]))
            return 0
        _start(build, parked)
    except StepFailed as failed:
        undo(build)
        tell_failure(build.channel, failed, build.journal)
        return 1
    except Exception as error:  # noqa: BLE001 - the boundary of a process; the daemon must hear of it
        lines.broken(error)
        undo(build)
        tell_failure(build.channel, unforeseen(error), build.journal)
        return 1
    hand_over(build, monitor)
    return 0


def _remove_record(directory: str) -> None:
    try:
        os.unlink(f"{directory}/{record.SOCKET}")
        os.rmdir(directory)
    except FileNotFoundError:
        return  # the daemon was faster, see `adoption.discard`


def _park(build: Build) -> bool:
    """Make a world ahead of time and wait. False where nobody wants it any more."""
    run, body = build.journal.run, build.body
    build.birth = birth = bear(build)
    if body["link"]:
        run("isolation", link.create, body["link"], birth.pid)
        birth.tell(Kind.GO)
    if birth.hear() is None:
        raise failure(None)
    prepare_record(build)
    send(build.channel, Kind.READY)
    rehearsal.of_monitor()
    if birth.pidfd in select.select([build.channel.fileno(), birth.pidfd], [], [])[0]:
        # Init was killed: a start must not find that out.
        return False
    start = receive(build.channel)
    if start is None or start.kind is not Kind.START:
        return False
    build.journal = Journal()
    build.body = start.body
    build.descriptors = start.descriptors
    build.title.set(f"sampan-builder {build.id[:12]}")
    lines.speak_as(f"builder of {build.id[:12]}", str(build.body["request_id"]))
    return True


def _start(build: Build, parked: bool) -> None:
    run, body = build.journal.run, build.body
    groups = body["cgroup"]["groups"]
    if body["root_mount"].get("served"):
        build.mount = build.descriptors.pop(0)
    if build.birth is None:
        build.birth = bear(build)
        crash_point("monitor-after-clone")
        for pair in (body["link"], *body["more_links"]):
            if pair:
                run("isolation", link.create, pair, build.birth.pid)
    birth = build.birth
    _set_up(build, birth)
    if parked:
        if scope := body["cgroup"]["scope"]:
            run("control groups", scopes.change, scope["unit"], scope["limits"])
        run("control groups", cgroups.write, groups, body["cgroup"]["writes"])
    if build.mount < 0:
        users_of = (build.users, body["users"]["root"]) if build.users >= 0 else None
        build.mount = run("union file system", overlay, body["root_mount"], users_of)
    elif build.users >= 0:
        run("union file system", users.map_mount, build.mount, build.users)
    crash_point("monitor-after-mount")
    stdio = run("runtime environment", open_streams, build.streams, body["stdio"])
    if build.users >= 0:
        run("union file system", users.map_binds, body["users"], build.users, build.descriptors)
        users.give_streams(body["users"], stdio)
        run("control groups", users.limit, body["users"], birth.pid)
    _hand_over_root(build, stdio)
    run("runtime environment", write_record, build)
    crash_point("monitor-after-record")
    if body["oom_score_adj"] is not None:
        run("control groups", oom_score, birth.pid, body["oom_score_adj"])
    birth.tell(Kind.GO)
    steps = _await_exec(build)
    body["state"] = state_of(build.id, birth, body["record"])
    if body["explain"]:
        steps = build.journal.rows() + steps
    send(build.channel, Kind.STARTED, {**body["state"], "steps": steps}, [birth.pidfd])
    crash_point("monitor-after-started")


def _set_up(build: Build, birth: Birth) -> None:
    """Send init its plan. Root of a user namespace cannot reach sampan-net by its path: it is called here."""
    body = build.body
    names = link.call_names(body["names"]) if build.users >= 0 and body["names"] else None
    plan = {name: body[name] for name in ("before", "root", "enter", "init", "explain")}
    birth.tell(Kind.SETUP, plan, [names.fileno()] if names is not None else [])
    if names is not None:
        names.close()


def state_of(identifier: str, birth: Birth, recorded: dict[str, Any]) -> dict[str, Any]:
    """What STARTED says, now and to every daemon that connects later."""
    return {
        "id": identifier,
        "pid": birth.pid,
        "monitor": recorded["monitor"][0],
        "started_ns": recorded["started_ns"],
        "pid_start": recorded["init"][1],
        # A monitor of an earlier release breaks off at a kind of request that it does not know.
        "clears_log": True,
    }


def _hand_over_root(build: Build, stdio: list[int]) -> None:
    """Hand init the descriptors for its root and its program."""
    birth, count = build.birth, int(build.body["binds"])
    assert birth is not None
    binds = build.descriptors[:count]
    birth.tell(Kind.ROOT, {"streams": len(stdio)}, [build.mount, *stdio, *binds])
    for descriptor in stdio + binds:
        os.close(descriptor)
    build.descriptors = build.descriptors[count:]


def _await_exec(build: Build) -> list[list[Any]]:
    """Wait for the end of file that a successful execve makes; the terminal's master and init's steps come before it."""
    assert build.birth is not None
    steps: list[list[Any]] = []
    while (message := build.birth.hear()) is not None:
        if message.descriptors:
            build.streams.terminal = message.descriptors.pop(0)
        steps += message.body.get("steps", [])
    return steps


def tell_failure(channel: socket.socket, failed: StepFailed, journal: Journal) -> None:
    """Tell the daemon why nothing was started."""
    body = {"fault": failed.fault, "message": failed.message, "errno": failed.errno, "steps": journal.rows()}
    try:
        send(channel, Kind.FAILED, body)
    except OSError:
        # The daemon is gone too; a new one finds no record, so the start never happened.
        return


def unforeseen(error: Exception) -> StepFailed:
    """A fault of ours, for the daemon to hear of."""
    return StepFailed("other", f"{type(error).__name__}: {error}", getattr(error, "errno", 0) or 0)


def bear(build: Build) -> Birth:
    """The container's groups, and init in them."""
    hold_groups(build)
    build.users = users.joined(build.body, build.descriptors)
    birth: Birth = build.journal.run("isolation", beget, build.body, build.descriptors, build.title)
    build.birth = birth
    let_go_of_groups(build)
    if build.body.get("users"):
        _give_users(build, birth)
    return birth


def _give_users(build: Build, birth: Birth) -> None:
    """Init's user namespace gets its maps, and init what cannot be made in there."""
    asked = build.body["users"]
    if build.users < 0:
        build.users = build.journal.run("isolation", users.establish, birth.pid, asked)
    made = build.journal.run("isolation", users.devices, asked)
    birth.tell(Kind.USERS, {}, made)
    for descriptor in made:
        os.close(descriptor)


def hold_groups(build: Build) -> None:
    """Make the groups; a scope of systemd's is held until `let_go_of_groups`, when somebody stands in it."""
    cgroup = build.body["cgroup"]
    scope = cgroup.get("scope")
    if scope is not None:
        build.holder = build.journal.run("control groups", holding.hold, scope["unit"], scope["properties"])
    build.journal.run("control groups", make_groups, cgroup)


def let_go_of_groups(build: Build) -> None:
    """The scope is held by who was born in it."""
    if build.holder:
        holding.let_go(build.holder)
        build.holder = 0


def make_groups(cgroup: dict[str, Any]) -> None:
    """The container's directory in each hierarchy, with its limits."""
    cgroups.create(cgroup["groups"], str(cgroup.get("mark", "")))
    cgroups.write(cgroup["groups"], cgroup["writes"])
    if cgroup["device_program"]:
        cgroups.guard_devices(cgroup["groups"], bytes.fromhex(cgroup["device_program"]))


def oom_score(pid: int, value: int) -> None:
    """How readily the kernel kills the program when memory runs out; lowering it needs CAP_SYS_RESOURCE."""
    descriptor = os.open(f"/proc/{pid}/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, str(value).encode())
    except PermissionError as error:
        raise StepFailed(
            "other", f"oom_score_adj {value}: the engine lacks CAP_SYS_RESOURCE on this host", 1
        ) from error
    finally:
        os.close(descriptor)


def prepare_record(build: Build) -> None:
    """The directory of the record, the socket in it, and what of the record is known before the start."""
    assert build.birth is not None
    build.listener = record.listen(str(build.body["directory"]))
    pid = build.birth.pid
    build.identity = {**record.of_monitor(os.getppid()), "init": [pid, record.start_time(pid)]}


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


def hand_over(build: Build, monitor: socket.socket) -> None:
    """Give the monitor what lives as long as the container: the descriptors, and the few facts that it needs."""
    body, birth, streams = build.body, build.birth, build.streams
    assert birth is not None
    assert build.listener is not None
    ends = [build.mount, streams.terminal, streams.input]
    live = {
        "id": build.id,
        "exec": bool(body.get("exec")),
        "directory": body["directory"],
        "stdio": body["stdio"],
        "log": body["log"],
        "attach": body["attach"],
        "held": body["held"],
        "helper": birth.helper,
        "groups": body["cgroup"]["groups"],
        "state": body["state"],
        "record": body["record"],
        "request_id": body["request_id"],
        "present": [descriptor >= 0 for descriptor in ends],
        "streams": [stream for _, stream in streams.outputs],
        "at_end": body.get("at_end"),
    }
    descriptors = [build.channel.fileno(), build.listener.fileno(), birth.pidfd]
    descriptors += [descriptor for descriptor in ends if descriptor >= 0]
    descriptors += [descriptor for descriptor, _ in streams.outputs]
    send(monitor, Kind.LIVE, live, descriptors + build.descriptors)


def undo(build: Build) -> None:
    """Take back what was made: the process, the control groups; the mount goes with the last of them."""
    if build.birth is not None:
        build.birth.kill()
    let_go_of_groups(build)
    if not build.body.get("exec"):
        undo_groups(build.body["cgroup"]["groups"])


def undo_groups(groups: dict[str, str]) -> None:
    """Remove the control groups, and before them whatever still stands in them."""
    if cgroups.procs(groups):
        ending.kill(groups)
    ending.remove(groups)
