"""The restorer: has criu bring a checkpoint back to life as the program of a container.

    monitor ── fork ──▶ builder ── executes ──▶ restorer ── executes ──▶ criu swrk, born in the container's control groups
      ▲                 (its overlay is mounted)   │ network namespace, root, binds, streams     │
      │                                            │ ◀── NOTIFY post-restore {pid} ──────────────│ all stand still
      │                                            │ the record is written; ── success ─────────▶│ lets them go on, ends
      └───── LIVE, as after any start ─────────────┘
      the restored program, whose parent criu was, is the monitor's child from then on (subreaper)

Namespaces are as at a start: the network's is new and wired here, the control groups' is made around criu; all others,
with every mount that is not from outside, are criu's work. Who the program is and what it may do (user, capabilities,
filter, limits) is in the images; whoever can write those decides it.
"""

from __future__ import annotations

import fcntl
import os
import socket

from sampan.cgroups import apply as cgroups
from sampan.kernel.mount import MountAttr, mount_setattr
from sampan.kernel.namespaces import Clone, clone3, unshare
from sampan.runtime import builder, checkpoint_plan, criu, stage, world
from sampan.runtime.birth import Birth
from sampan.runtime.handed import taken
from sampan.runtime.messages import Kind, pair, send
from sampan.runtime.stdio import open_streams
from sampan.runtime.steps import StepFailed
from sampan.telemetry import lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

_FIRST_FREE = 10
"""Descriptors from here on are criu's to inherit; it has 0 to 3 for itself."""


def main() -> NoReturn:
    """Entry point: see `handed.taken`."""
    code = 1
    try:
        build, handed = taken(Kind.RESTORE, "restorer")
        os.close(handed["host"])
        code = _run(build, handed["first"], socket.socket(fileno=handed["monitor"]))
    except BaseException as error:  # noqa: BLE001 - the boundary of a process; the launcher's standard error is the daemon's log
        lines.broken(error)
    finally:
        os._exit(code)


def _run(build: builder.Build, images: int, monitor: socket.socket) -> int:
    try:
        _restore(build, images)
        assert build.birth is not None
        state = build.body["state"] = builder.state_of(build.id, build.birth, build.body["record"])
        send(build.channel, Kind.STARTED, {**state, "steps": build.journal.rows()}, [build.birth.pidfd])
    except StepFailed as failed:
        builder.undo(build)
        builder.tell_failure(build.channel, failed, build.journal)
        return 1
    except Exception as error:  # noqa: BLE001 - the boundary of a process; the daemon must hear of it
        builder.undo(build)
        builder.tell_failure(build.channel, builder.unforeseen(error), build.journal)
        return 1
    builder.hand_over(build, monitor)
    return 0


def _restore(build: builder.Build, images: int) -> None:
    run, body = build.journal.run, build.body
    try:
        names = checkpoint_plan.read_notes(images)
    except checkpoint_plan.NotPossible as error:
        raise StepFailed("restore", f"the checkpoint cannot be used: {error}") from error
    builder.hold_groups(build)
    network = run("isolation", stage.new_network, body)
    run("union file system", stage.lay_out, build)
    ends = run("runtime environment", open_streams, build.streams, body["stdio"])
    kept = [fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _FIRST_FREE) for descriptor in (*ends, network)]
    for descriptor in (*ends, network):
        os.close(descriptor)
    inherited = [(checkpoint_plan.NETWORK, kept[3]), *checkpoint_plan.inherited(names, kept[:3])]
    work = _work_directory(build)
    place, destinations = body["aside"]["place"], body["restore"]["destinations"]
    external = checkpoint_plan.restored_mounts(destinations, place)
    request = criu.restore_request(images, work, f"{place}/root", external, inherited)
    try:
        run("runtime environment", drive_criu, build, request, kept)
    except criu.CriuFailed as failed:
        why = criu.reason(criu.read_log(work, criu.RESTORE_LOG)) or str(failed)
        raise StepFailed("restore", f"criu failed: {why}") from failed
    finally:
        for descriptor in (*kept, work):
            os.close(descriptor)
    builder.let_go_of_groups(build)


def _work_directory(build: builder.Build) -> int:
    """Where criu's log goes: beside the record of the run."""
    directory = str(build.body["directory"])
    os.makedirs(directory, 0o700, exist_ok=True)
    return os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def drive_criu(build: builder.Build, request: bytes, kept: list[int]) -> None:
    """Execute criu in the container's control groups and have it do what `request` says. Raises CriuFailed."""
    groups = build.body["cgroup"]["groups"]
    channel, theirs = pair()
    group, tasks = cgroups.open_birthplace(groups), cgroups.open_tasks(groups)
    errors = os.memfd_create("criu-errors")
    # Born there, so that what it restores is: nobody is moved, and whatever goes wrong, killing the groups ends all of it.
    child, pidfd = clone3(Clone(0), group)
    if child == 0:
        _be_criu(build.body, theirs.fileno(), tasks, kept, errors)
    theirs.close()
    for descriptor in (*tasks, *([group] if group >= 0 else [])):
        os.close(descriptor)

    def restored(pid: int) -> None:
        build.birth = Birth(pid, os.pidfd_open(pid), channel)
        builder.write_record(build)

    try:
        criu.converse(channel, request, {"post-restore": restored})
    except criu.CriuFailed as failed:
        said = os.pread(errors, 4096, 0).decode(errors="replace").strip()
        raise criu.CriuFailed(said or str(failed)) from failed
    finally:
        channel.close()
        os.close(pidfd)
        os.close(errors)
        os.waitpid(child, 0)


def _be_criu(body: dict[str, Any], channel: int, tasks: list[int], kept: list[int], errors: int) -> NoReturn:
    try:
        cgroups.step_in(tasks)
        context = world.Context()
        for name, *operands in body["world"]:
            if name == "session_keyring":
                world.session_keyring(context, *operands)
        steps = {name: operands for name, *operands in body["enter"]}
        if "cgroup_namespace" in steps:
            unshare(Clone.NEWCGROUP)
        if "cgroup_v2" in steps:
            _show_groups(body, steps["cgroup_v2"][0])
        criu.execute(body["restore"]["criu"], channel, kept, errors)
    except OSError as error:
        os.write(errors, f"{error.strerror}: {error.filename or ''}".encode())
    finally:
        os._exit(127)


def _show_groups(body: dict[str, Any], options: list[str]) -> None:
    """/sys/fs/cgroup as the namespace of this process shows it, where criu looks for the last of the destinations."""
    tree = world.instance(b"cgroup2", [option for option in options if option != "ro"], b"cgroup")
    stage.put(
        os.fsencode(f"{body['aside']['place']}/{body['restore']['destinations'].index(checkpoint_plan.CGROUP)}"), tree
    )
    if world.attributes(options) & MountAttr.RDONLY:
        mount_setattr(tree, add=MountAttr.RDONLY)
    os.close(tree)
