"""What each command does, from its options to the container.

What only some of them need is loaded in them: a call of `state` or `kill` is over in the time that loading all would take.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import msgspec

from sampan.cgroups.hierarchy import detect
from sampan.errors import InvalidParameter, NotImplementedHere
from sampan.files.atomic import write_atomic
from sampan.kernel.caps import capget
from sampan.oci import documents, groups, hooks, lifecycle
from sampan.oci.containers import Container, everyone
from sampan.oci.options import Parsed
from sampan.runtime.profile_capabilities import from_mask
from sampan.runtime.seccomp_policy import kernel_version

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sampan.cgroups.hierarchy import Hierarchy
    from sampan.oci import making, translate

_ROOT = "/run/sampan-oci"
_CONFIG = "config.json"


def _container(first: Parsed, name: str) -> Container:
    return Container(os.path.abspath(first.text("root", _ROOT)), name)


def _host(hierarchy: Hierarchy) -> translate.Host:
    from sampan.oci import translate

    system = os.uname()
    held = frozenset(from_mask(capget()[1]))
    return translate.Host(system.machine, kernel_version(system.release), held, hierarchy.version("memory") == 2)


def create(first: Parsed, given: Parsed) -> int:
    """`create`."""
    made, container = _make(first, given, detached=True)
    os.close(made.pidfd)
    _tell_pid(given, made.kept.init[0])
    container.keep(made.kept)
    return 0


def run(first: Parsed, given: Parsed) -> int:
    """`run`: the program's exit code, or 0 when detached."""
    detached = given.flag("detach")
    made, container = _make(first, given, detached=detached)
    pid = made.kept.init[0]
    container.keep(made.kept)
    try:
        _tell_pid(given, pid)
        lifecycle.start(container)
        if detached:
            return 0
        from sampan.oci import console

        code = console.wait(pid, made.pidfd, made.terminal)
    except BaseException:
        lifecycle.delete(container, force=True)
        raise
    if not given.flag("keep"):
        lifecycle.delete(container, force=True)
    return code


def _make(first: Parsed, given: Parsed, *, detached: bool) -> tuple[making.Made, Container]:
    from sampan.oci import making, translate

    _refuse(given)
    bundle = os.path.realpath(given.text("bundle", "."))
    hierarchy = detect()
    wanted = translate.arrangement(documents.read_bundle(bundle), bundle, _host(hierarchy))
    socket = _console_socket(given, terminal=wanted.config.process.terminal, detached=detached)
    asked = wanted.hooks
    for each in (asked.prestart, asked.create_runtime, asked.create_container, asked.poststart, asked.poststop):
        hooks.check(each)
    if asked.create_container:
        from sampan.oci import inside

        inside.check(wanted.config, wanted.propagation)
    container = _container(first, given.only("the container's ID"))
    systemd = first.flag("systemd-cgroup")
    linux = wanted.config.linux
    cgroup = groups.plan(hierarchy, container.name, linux.cgroups_path, linux.resources, systemd=systemd)
    container.make()
    lock = container.lock()
    try:
        # An exec goes by what was there when the container was made.
        (container.directory / _CONFIG).write_bytes(Path(bundle, _CONFIG).read_bytes())
        made = making.create(container, bundle, wanted, cgroup, keyring=not given.flag("no-new-keyring"))
        if socket:
            from sampan.oci import console

            console.hand_over(socket, made.terminal)
            made.terminal = -1
    except BaseException:
        container.forget()
        raise
    finally:
        lock.close()
    return made, container


def _refuse(given: Parsed) -> None:
    if given.flag("no-pivot"):
        raise NotImplementedHere("--no-pivot is not implemented: a chroot keeps no root in")
    if given.number("preserve-fds"):
        raise NotImplementedHere("--preserve-fds is not implemented")


def _console_socket(given: Parsed, *, terminal: bool, detached: bool) -> str:
    socket = given.text("console-socket")
    if socket and not terminal:
        raise InvalidParameter("cannot use console socket if the process has no terminal")
    if terminal and detached and not socket:
        raise InvalidParameter("cannot allocate tty if the runtime will detach without setting console socket")
    return socket


def _tell_pid(given: Parsed, pid: int) -> None:
    path = given.text("pid-file")
    if path:
        # A reader never sees half a number.
        write_atomic(Path(path), str(pid).encode(), 0o644, durable=False)


def start(first: Parsed, given: Parsed) -> int:
    """`start`."""
    lifecycle.start(_container(first, given.only("the container's ID")))
    return 0


def state(first: Parsed, given: Parsed) -> int:
    """`state`."""
    container = _container(first, given.only("the container's ID"))
    print(msgspec.json.format(msgspec.json.encode(container.state(container.load())), indent=2).decode())
    return 0


def kill(first: Parsed, given: Parsed) -> int:
    """`kill`."""
    if not 1 <= len(given.rest) <= 2:
        raise InvalidParameter("one or two arguments are needed: the container's ID and a signal")
    number = lifecycle.signal_number(given.rest[1]) if len(given.rest) > 1 else int(signal.SIGTERM)
    lifecycle.kill(_container(first, given.rest[0]), number, everyone=given.flag("all"))
    return 0


def delete(first: Parsed, given: Parsed) -> int:
    """`delete`."""
    lifecycle.delete(_container(first, given.only("the container's ID")), force=given.flag("force"))
    return 0


def execute(first: Parsed, given: Parsed) -> int:
    """`exec`: the program's exit code, or 0 when detached."""
    from sampan.oci import entering, translate

    _refuse(given)
    if not given.rest:
        raise InvalidParameter("the container's ID is needed")
    container = _container(first, given.rest[0])
    container.load()
    bundle = documents.read_bundle(str(container.directory))
    asked = _process(given, bundle)
    detached = given.flag("detach")
    socket = _console_socket(given, terminal=asked.terminal, detached=detached)
    host = _host(detect())
    process = translate.program(asked, host)
    linux = bundle.linux or documents.Linux()
    seccomp = translate.seccomp(linux.seccomp, process.capabilities.bounding, host)
    entered = entering.enter(container, process, seccomp, asked.user.umask, paused=given.flag("ignore-paused"))
    _tell_pid(given, entered.pid)
    terminal = entered.terminal
    if detached and not socket:
        return 0
    from sampan.oci import console

    if socket:
        console.hand_over(socket, terminal)
        terminal = -1
    return 0 if detached else console.wait(entered.pid, entered.pidfd, terminal)


def _process(given: Parsed, bundle: documents.Bundle) -> documents.Process:
    """The document that was given, or the container's own process with what the options say."""
    if path := given.text("process"):
        return documents.read_process(path)
    own = bundle.process or documents.Process()
    words = given.rest[1:]
    if not words:
        raise InvalidParameter("a command or --process is needed")
    user = own.user
    if text := given.text("user"):
        uid, _, gid = text.partition(":")
        if not uid.isdecimal() or (gid and not gid.isdecimal()) or len(text) > 21:
            raise InvalidParameter(f"--user {text[:40]!r} is not UID[:GID]")
        user = msgspec.structs.replace(user, uid=int(uid), gid=int(gid or "0"), additional_gids=())
    if more := given.values.get("additional-gids"):
        if not all(gid.isdecimal() and len(gid) < 11 for gid in more):
            raise InvalidParameter(f"--additional-gids {' '.join(more)[:80]!r}: a group is a number")
        gids = tuple(int(gid) for gid in more)
        user = msgspec.structs.replace(user, additional_gids=(*(user.additional_gids or ()), *gids))
    return msgspec.structs.replace(
        own,
        args=tuple(words),
        env=(*(own.env or ()), *given.values.get("env", ())),
        cwd=given.text("cwd") or own.cwd,
        terminal=given.flag("tty"),
        console_size=None,
        user=user,
        capabilities=_with_more(own.capabilities, tuple(given.values.get("cap", ()))),
        no_new_privileges=own.no_new_privileges or given.flag("no-new-privs"),
    )


def _with_more(own: documents.Capabilities | None, more: tuple[str, ...]) -> documents.Capabilities | None:
    if not more:
        return own
    own = own or documents.Capabilities()
    return documents.Capabilities(
        bounding=(*(own.bounding or ()), *more),
        effective=(*(own.effective or ()), *more),
        permitted=(*(own.permitted or ()), *more),
        inheritable=own.inheritable,
        ambient=own.ambient,
    )


def list_all(first: Parsed, given: Parsed) -> int:
    """`list`."""
    states = [each.state(each.load()) for each in everyone(os.path.abspath(first.text("root", _ROOT)))]
    if given.flag("quiet"):
        sys.stdout.writelines(f"{each.id}\n" for each in states)
    elif _format(given) == "json":
        print(msgspec.json.encode(states).decode())
    else:
        rows = [("ID", "PID", "STATUS", "BUNDLE", "CREATED")]
        rows += [(each.id, str(each.pid), each.status, each.bundle, each.created) for each in states]
        _table(rows)
    return 0


def _table(rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("   ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())


def _format(given: Parsed) -> str:
    text = given.text("format", "table")
    if text not in ("table", "json"):
        raise InvalidParameter(f"invalid format option {text[:40]!r}: table or json")
    return text


def ps(first: Parsed, given: Parsed) -> int:
    """`ps`."""
    pids = lifecycle.processes(_container(first, given.only("the container's ID")))
    if _format(given) == "json":
        print(json.dumps(pids))
        return 0
    _table([("PID", "COMMAND"), *((str(pid), _title(pid)) for pid in pids)])
    return 0


def _title(pid: int) -> str:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ""
    text = words.replace(b"\0", b" ").decode("utf-8", "replace").strip()
    return "".join(character if character.isprintable() else "?" for character in text)


def pause(first: Parsed, given: Parsed) -> int:
    """`pause`."""
    lifecycle.pause(_container(first, given.only("the container's ID")))
    return 0


def resume(first: Parsed, given: Parsed) -> int:
    """`resume`."""
    lifecycle.resume(_container(first, given.only("the container's ID")))
    return 0


def update(first: Parsed, given: Parsed) -> int:
    """`update`."""
    from sampan.oci.limits import resources

    container = _container(first, given.only("the container's ID"))
    container.load()
    asked = documents.read_resources(given.text("resources")) if given.text("resources") else _limits(given)
    hierarchy = detect()
    own = documents.read_bundle(str(container.directory)).linux or documents.Linux()
    wanted = resources(asked, v2=hierarchy.version("memory") == 2)
    systemd = first.flag("systemd-cgroup")
    plan = groups.plan(hierarchy, container.name, own.cgroups_path, wanted, systemd=systemd)
    lifecycle.update(container, plan)
    return 0


def _limits(given: Parsed) -> documents.Resources:
    number = given.number
    pids = number("pids-limit")
    return documents.Resources(
        memory=documents.Memory(
            limit=number("memory"), reservation=number("memory-reservation"), swap=number("memory-swap")
        ),
        cpu=documents.Cpu(
            shares=number("cpu-share"),
            quota=number("cpu-quota"),
            period=number("cpu-period"),
            realtime_runtime=number("cpu-rt-runtime"),
            realtime_period=number("cpu-rt-period"),
            cpus=given.text("cpuset-cpus"),
            mems=given.text("cpuset-mems"),
        ),
        pids=documents.Pids(limit=pids) if pids is not None else None,
        block_io=documents.BlockIo(weight=number("blkio-weight")),
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
    "pause": pause,
    "resume": resume,
    "update": update,
    "features": features,
}
