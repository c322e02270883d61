"""What each command does, from its options to the container.

What only some of them need is loaded in them: a call of `state` or `kill` is over in the time that loading all would take.
"""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import msgspec

from sampan.cgroups.hierarchy import detect
from sampan.errors import InvalidParameter, NotImplementedHere
from sampan.oci import command_line, documents, groups, hooks, lifecycle, resource_documents
from sampan.oci.containers import Container
from sampan.oci.options import Parsed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from sampan.oci import making


def create(first: Parsed, given: Parsed) -> int:
    """`create`."""
    made, _ = _make(first, given, detached=True)
    os.close(made.pidfd)
    return 0


def run(first: Parsed, given: Parsed) -> int:
    """`run`: the program's exit code, or 0 when detached."""
    detached = given.flag("detach")
    made, container = _make(first, given, detached=detached)
    try:
        lifecycle.start(container)
        if detached:
            return 0
        from sampan.oci import console

        code = console.wait(made.kept.init[0], made.pidfd, made.terminal)
    except BaseException:
        lifecycle.delete(container, force=True)
        raise
    if not given.flag("keep"):
        lifecycle.delete(container, force=True)
    return code


def _make(first: Parsed, given: Parsed, *, detached: bool) -> tuple[making.Made, Container]:
    from sampan.oci import making, translate, users

    if os.geteuid() != 0:
        raise NotImplementedHere(
            "a caller who is not root is not implemented: unshare --map-root-user makes one of you"
        )
    if given.flag("no-pivot"):
        raise NotImplementedHere("--no-pivot is not implemented: a chroot keeps no root in")
    preserved = command_line.preserved(given)
    bundle = os.path.realpath(given.text("bundle", "."))
    hierarchy = detect()
    document = command_line.activated(documents.read_bundle(bundle))
    joined = users.joined(document.linux or documents.Linux())
    wanted = translate.arrangement(document, bundle, command_line.host(hierarchy), joined)
    socket = command_line.console_socket(given, terminal=wanted.config.process.terminal, detached=detached)
    asked = wanted.hooks
    hooks.check(asked)
    if asked.create_container:
        from sampan.oci import inside

        inside.check(wanted.config, wanted.propagation)
    container = command_line.container(first, given.only("the container's ID"))
    systemd = first.flag("systemd-cgroup")
    linux = wanted.config.linux
    cgroup = groups.plan(hierarchy, container.name, linux.cgroups_path, linux.resources, systemd=systemd)
    container.make()
    lock = container.lock()
    try:
        # An exec goes by what was there when the container was made.
        (container.directory / command_line.CONFIG).write_bytes(Path(bundle, command_line.CONFIG).read_bytes())
        keyring = not given.flag("no-new-keyring")
        made = making.create(container, bundle, wanted, cgroup, keyring=keyring, preserved=preserved)
        _hand_over(given, socket, made, container)
    except BaseException:
        container.forget()
        raise
    finally:
        lock.close()
    return made, container


def _hand_over(given: Parsed, socket: str, made: making.Made, container: Container) -> None:
    """The caller gets what it asked for of a container that stands; where it cannot, the container goes."""
    try:
        if socket:
            from sampan.oci import console

            console.hand_over(socket, made.terminal)
            made.terminal = -1
        container.keep(made.kept)
        command_line.tell_pid(given, made.kept.init[0])
    except BaseException:
        lifecycle.end(made.kept)
        raise


def start(first: Parsed, given: Parsed) -> int:
    """`start`."""
    lifecycle.start(command_line.container(first, given.only("the container's ID")))
    return 0


def state(first: Parsed, given: Parsed) -> int:
    """`state`."""
    container = command_line.container(first, given.only("the container's ID"))
    print(msgspec.json.format(msgspec.json.encode(container.state(container.load())), indent=2).decode())
    return 0


def kill(first: Parsed, given: Parsed) -> int:
    """`kill`."""
    if not 1 <= len(given.rest) <= 2:
        raise InvalidParameter("one or two arguments are needed: the container's ID and a signal")
    number = lifecycle.signal_number(given.rest[1]) if len(given.rest) > 1 else int(signal.SIGTERM)
    lifecycle.kill(command_line.container(first, given.rest[0]), number, everyone=given.flag("all"))
    return 0


def delete(first: Parsed, given: Parsed) -> int:
    """`delete`."""
    lifecycle.delete(command_line.container(first, given.only("the container's ID")), force=given.flag("force"))
    return 0


def execute(first: Parsed, given: Parsed) -> int:
    """`exec`."""
    from sampan.oci import executing

    return executing.execute(first, given)


def list_all(first: Parsed, given: Parsed) -> int:
    """`list`."""
    from sampan.oci import listing

    return listing.list_all(first, given)


def ps(first: Parsed, given: Parsed) -> int:
    """`ps`."""
    from sampan.oci import listing

    return listing.ps(first, given)


def events(first: Parsed, given: Parsed) -> int:
    """`events`."""
    from sampan.oci import events as told

    return told.events(first, given)


def pause(first: Parsed, given: Parsed) -> int:
    """`pause`."""
    lifecycle.pause(command_line.container(first, given.only("the container's ID")))
    return 0


def resume(first: Parsed, given: Parsed) -> int:
    """`resume`."""
    lifecycle.resume(command_line.container(first, given.only("the container's ID")))
    return 0


def update(first: Parsed, given: Parsed) -> int:
    """`update`."""
    from sampan.oci.limits import resources

    container = command_line.container(first, given.only("the container's ID"))
    container.load()
    asked = documents.read_resources(given.text("resources")) if given.text("resources") else _limits(given)
    hierarchy = detect()
    own = documents.read_bundle(str(container.directory)).linux or documents.Linux()
    wanted = resources(asked, v2=hierarchy.version("memory") == 2)
    systemd = first.flag("systemd-cgroup")
    plan = groups.plan(hierarchy, container.name, own.cgroups_path, wanted, systemd=systemd)
    lifecycle.update(container, plan)
    return 0


def _limits(given: Parsed) -> resource_documents.Resources:
    number = given.number
    pids = number("pids-limit")
    return resource_documents.Resources(
        memory=resource_documents.Memory(
            limit=number("memory"), reservation=number("memory-reservation"), swap=number("memory-swap")
        ),
        cpu=resource_documents.Cpu(
            shares=number("cpu-share"),
            quota=number("cpu-quota"),
            period=number("cpu-period"),
            realtime_runtime=number("cpu-rt-runtime"),
            realtime_period=number("cpu-rt-period"),
            cpus=given.text("cpuset-cpus"),
            mems=given.text("cpuset-mems"),
        ),
        pids=resource_documents.Pids(limit=pids) if pids is not None else None,
        block_io=resource_documents.BlockIo(weight=number("blkio-weight")),
    )


def features(_first: Parsed, _given: Parsed) -> int:
    """`features`."""
    from sampan.oci.features import features as supported

    print(json.dumps(supported(), indent=2))
    return 0


OPERATIONS: dict[str, Callable[[Parsed, Parsed], int]] = {
    "create": create,
    "start": start,
    "run": run,
    "state": state,
    "kill": kill,
    "delete": delete,
    "exec": execute,
    "list": list_all,
    "ps": ps,
    "events": events,
    "pause": pause,
    "resume": resume,
    "update": update,
    "features": features,
}
