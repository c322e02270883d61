"""The driver: has another OCI runtime make a container whose world Sampan has prepared, or run one more process in it.

    monitor ── fork ──▶ builder ── executes ──▶ driver ── executes ──▶ RUNTIME create ──▶ init, which waits
      ▲                 (its overlay is mounted)  │ network namespace, root, binds, streams   │
      │                                           │ ◀── its pid file, the console socket ─────┘ ends
      │                                           │ the record is written
      │                                           │ ── executes ──▶ RUNTIME start ──▶ the program
      └───── LIVE, as after any start ────────────┘
      init, whose parent RUNTIME was, is the monitor's child from then on (subreaper); at its end the monitor has RUNTIME delete it

The layers, the mounts' sources, the network and the control groups are Sampan's, as for its own runtime; what happens inside
(mounts, masks, user, capabilities, filter) is the other one's, by the document that `oci_document` wrote. A signal goes to the
process, and a pause or a limit to the control groups, without asking it.
"""

from __future__ import annotations

import json
import os
import socket

from sampan.runtime import builder, credentials, oci_call, record, rootfs, stage, world
from sampan.runtime.birth import Birth
from sampan.runtime.handed import taken
from sampan.runtime.messages import Kind, pair, send
from sampan.runtime.stdio import open_streams
from sampan.runtime.steps import StepFailed
from sampan.telemetry import lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

_CONFIG = "config.json"
_PID = "init.pid"
_PID_LIMIT = 32


def main() -> NoReturn:
    """Entry point: see `handed.taken`."""
    code = 1
    try:
        build, handed = taken(Kind.START_BY, "driver")
        code = _run(build, handed["host"], handed["first"], socket.socket(fileno=handed["monitor"]))
    except BaseException as error:  # noqa: BLE001 - the boundary of a process; the launcher's standard error is the daemon's log
        lines.broken(error)
    finally:
        os._exit(code)


def _run(build: builder.Build, host: int, program: int, monitor: socket.socket) -> int:
    directory = str(build.body["directory"])
    os.makedirs(directory, 0o700, exist_ok=True)
    caller = oci_call.Caller(build.body["runtime"], program, build.body["aside"]["environment"], directory)
    try:
        if build.body.get("exec"):
            _execute(build, caller)
        else:
            _create(build, caller)
            # What it needs for the end, behind the ports' sockets and before the clients.
            held = int(build.body["held"])
            build.descriptors[held:held] = [host, program]
            build.body["at_end"] = caller.at_end(build.id)
        assert build.birth is not None
        state = build.body["state"] = builder.state_of(build.id, build.birth, build.body["record"])
        send(build.channel, Kind.STARTED, {**state, "steps": build.journal.rows()}, [build.birth.pidfd])
    except StepFailed as failed:
        _take_back(build, caller)
        builder.tell_failure(build.channel, failed, build.journal)
        return 1
    except Exception as error:  # noqa: BLE001 - the boundary of a process; the daemon must hear of it
        _take_back(build, caller)
        builder.tell_failure(build.channel, builder.unforeseen(error), build.journal)
        return 1
    builder.hand_over(build, monitor)
    return 0


def _take_back(build: builder.Build, caller: oci_call.Caller) -> None:
    if not build.body.get("exec"):
        caller.delete(build.id)
    builder.undo(build)


def _create(build: builder.Build, caller: oci_call.Caller) -> None:
    run, body = build.journal.run, build.body
    builder.hold_groups(build)
    network = run("isolation", stage.new_network, body)
    run("union file system", stage.lay_out, build)
    count = len(body["joins"])
    joins, build.descriptors = build.descriptors[:count], build.descriptors[count:]
    context = world.Context()
    context.root = build.mount
    run("runtime environment", rootfs.marker, context, ".dockerenv")
    document = body["runtime"]["document"]
    document["process"]["user"] = run("shared kernel", _user, build.mount, *body["runtime"]["user"])
    _name_namespaces(document["linux"]["namespaces"], joins, network, body)
    write_private(caller.directory, _CONFIG, document)
    streams = open_streams(build.streams, body["stdio"])
    # Left by a monitor that was killed.
    caller.forget(build.id)
    words = ["create", "--bundle", caller.directory, "--pid-file", f"{caller.directory}/{_PID}"]
    build.streams.terminal = run("isolation", caller.make, [*words, "CONSOLE", build.id], streams)
    for descriptor in (*streams, *joins, network):
        os.close(descriptor)
    build.birth = _born(caller.directory)
    # It stands still, so nothing of it stays outside.
    run("control groups", oci_call.step_in_hybrid, body["cgroup"]["groups"], build.birth.pid)
    builder.let_go_of_groups(build)
    run("runtime environment", builder.write_record, build)
    run("runtime environment", caller.call, ["start", build.id])


def _name_namespaces(namespaces: list[dict[str, Any]], joins: list[int], network: int, body: dict[str, Any]) -> None:
    """Those that are joined, and the network that was made: by descriptors of this process, which name no process by its number."""
    own = f"/proc/{os.getpid()}/fd"
    kinds = body["runtime"]["joined"]
    for kind, descriptor in zip(kinds, joins, strict=True):
        next(each for each in namespaces if each["type"] == kind)["path"] = f"{own}/{descriptor}"
    for namespace in namespaces:
        if namespace["type"] == "network" and "path" not in namespace:
            namespace["path"] = f"{own}/{network}"


def _user(root: int, name: str, additional: list[str]) -> dict[str, Any]:
    """The user as the container's own files have it. Raises StepFailed."""
    found = credentials.look_up(root, name, additional)
    return {"uid": found.uid, "gid": found.gid, "additionalGids": found.groups}


def _execute(build: builder.Build, caller: oci_call.Caller) -> None:
    run, body = build.journal.run, build.body
    asked = body["runtime"]
    root = os.open(f"/proc/{asked['pid']}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    document = asked["document"]
    document["user"] = run("shared kernel", _user, root, *asked["user"])
    os.close(root)
    write_private(caller.directory, _CONFIG, document)
    # The first is the container's init, by which Sampan's own runtime finds its namespaces.
    os.close(build.descriptors.pop(0))
    streams = open_streams(build.streams, body["stdio"])
    group = oci_call.birthplace(body["cgroup"]["groups"])
    words = [
        "exec",
        "--process",
        f"{caller.directory}/{_CONFIG}",
        "--pid-file",
        f"{caller.directory}/{_PID}",
        "--detach",
    ]
    build.streams.terminal = run("isolation", caller.make, [*words, "CONSOLE", str(body["container"])], streams, group)
    for descriptor in streams:
        os.close(descriptor)
    build.birth = _born(caller.directory)
    run("runtime environment", builder.write_record, build)


def _born(directory: str) -> Birth:
    """The process that the runtime has left, which is the monitor's child by now. Raises StepFailed for one that is not."""
    descriptor = os.open(f"{directory}/{_PID}", os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        text = os.read(descriptor, _PID_LIMIT).strip()
    finally:
        os.close(descriptor)
    if not text.isdigit() or int(text) < 2:
        raise StepFailed("other", f"the runtime's pid file holds {text!r}")
    pid = int(text)
    ours, _ = pair()
    try:
        birth = Birth(pid, os.pidfd_open(pid), ours)
        parent = record.parent(pid)
    except (FileNotFoundError, ProcessLookupError) as error:
        raise StepFailed("other", "the process that the runtime has made is gone") from error
    if parent != os.getppid():
        os.close(birth.pidfd)
        raise StepFailed("other", f"process {pid}, which the runtime has named, is not a child of the monitor's")
    return birth


def write_private(directory: str, name: str, document: dict[str, Any]) -> None:
    """A file that only root reads."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    with os.fdopen(os.open(f"{directory}/{name}", flags, 0o600), "wb") as file:
        file.write(json.dumps(document).encode())
