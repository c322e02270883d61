"""Init: the process that becomes PID 1 of a container, or one more process in it. Carries out a plan and ends in execve.

    world ──▶ SETUP ──▶ before ──▶ ROOT ──▶ root ──▶ GO ──▶ its control groups ──▶ enter ──▶ execve
    (may be done ahead of time, control groups too)

Everything that Python needs is loaded before: from the pivot on, no module, codec or user database may be opened, for
they would come from the image (CVE-2019-14271). The interpreter's search paths are emptied and an audit hook ends the
process if something tries. A forked child never runs interpreter shutdown: it ends in execve or `os._exit`.

Loaded by the launcher.
"""

from __future__ import annotations

import os
import signal
import socket
import sys

from sampan.cgroups.apply import step_in
from sampan.kernel.namespaces import Clone, fork_sibling, setns
from sampan.kernel.process import Prctl, Title, close_all_but, close_from, prctl
from sampan.kernel.terminal import make_controlling
from sampan.runtime import apparmor, cgroupns, credentials, execute, link, masks, rehearsal, rootfs, users, world
from sampan.runtime.messages import Kind, Message, receive, send
from sampan.runtime.steps import Journal, StepFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn


def _halt(context: world.Context) -> None:
    """Stand still until who makes the container goes on: an OCI runtime's hooks look at it meanwhile."""
    assert context.channel is not None
    send(context.channel, Kind.READY, {"halts": True})
    _expect(context.channel, Kind.GO)


STEPS: dict[str, tuple[str, Callable[..., Any]]] = {
    "halt": ("runtime environment", _halt),
    **users.STEPS,
    **world.STEPS,
    **rootfs.STEPS,
    **link.STEPS,
    **masks.STEPS,
    **apparmor.STEPS,
    **credentials.STEPS,
    **cgroupns.STEPS,
    **execute.STEPS,
}
_LOST = 70
_LOWEST_COPY = 10
_HANDLED = (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP)


def run(
    channel: socket.socket,
    body: dict[str, Any],
    joins: list[tuple[int, int]],
    tasks: list[int],
    title: Title,
) -> NoReturn:
    """Be init. `channel` leads to the monitor; `joins` are (namespace descriptor, Clone flags).

    `tasks` are the doors of its control groups on v1 (`cgroups.apply.open_tasks`); into that of v2 it was born.
    `body` is the message: `world` are the steps that come first; `park` is set for a slot, to the interface that the monitor
    moves in (announced by a GO) and whether it speaks IPv6, or []: a first READY then says that the world is made.

    Called in a fresh child; never returns.
    """
    try:
        # Half-made, it must not outlive its monitor; whole, it must (the daemon then sees to it).
        prctl(Prctl.SET_PDEATHSIG, signal.SIGKILL)
        close_all_but([channel.fileno(), *tasks, *[descriptor for descriptor, _ in joins]])
        _leave_the_log()
        if not any(flag & Clone.NEWPID for _, flag in joins):
            os.setsid()
        title.set("sampan-init")
        journal = Journal()
        context = world.Context()
        context.channel = channel
        for descriptor, flag in joins:
            journal.run("isolation", join, descriptor, flag)
            os.close(descriptor)
        _take(journal, context, body["world"])
        park = body.get("park")
        if park is not None:
            journal.run("control groups", step_in, tasks)
            tasks = []
            _wait_parked(channel, journal, context, park)
        _serve(channel, journal, context, tasks)
    except StepFailed as failure:
        _report(channel, failure.fault, failure.message, failure.errno)
    except BaseException as error:  # noqa: BLE001 - the boundary of a process; whatever it was must be told
        _report(channel, "other", f"{type(error).__name__}: {error}", getattr(error, "errno", 0) or 0)
    finally:
        os._exit(_LOST)


def run_exec(
    channel: socket.socket,
    container: tuple[int, int],
    tasks: list[int],
    stdio: list[int],
    plan: dict[str, Any],
    title: Title,
) -> NoReturn:
    """Be an exec's first process, which stays outside the container's pid namespace and ends when its copy is inside.

    `container` is a pidfd of its init and the Clone flags of the namespaces to join; `stdio` the program's three streams, none
    with a terminal, and behind them as many more of its descriptors as `preserved` in `plan` says; `plan` the EXEC message's
    body. Called in a fresh child; never returns.
    """
    try:
        prctl(Prctl.SET_PDEATHSIG, signal.SIGKILL)
        close_all_but([channel.fileno(), container[0], *tasks, *stdio])
        _leave_the_log()
        title.set("sampan-init")
        journal = Journal()
        context = world.Context()
        context.channel = channel
        context.preserved = [stdio.pop() for _ in range(int(plan.get("preserved", 0)))][::-1]
        context.stdio = stdio
        _take(journal, context, plan["ahead"])
        journal.run("isolation", join, *container)
        os.close(container[0])
        _shut_the_doors()
        context.root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        _take(journal, context, plan["root"])
        _send_terminal(channel, context)
        journal.run("control groups", step_in, tasks)
        _take(journal, context, plan["enter"])
        _cross(channel)
        _become_the_program(channel, context, False)
    except StepFailed as failure:
        _report(channel, failure.fault, failure.message, failure.errno)
    except BaseException as error:  # noqa: BLE001 - the boundary of a process; whatever it was must be told
        _report(channel, "other", f"{type(error).__name__}: {error}", getattr(error, "errno", 0) or 0)
    finally:
        os._exit(_LOST)


def _leave_the_log() -> None:
    """Standard streams to /dev/null: the daemon's log must not be within reach of a container (CVE-2016-9962)."""
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    os.close(null)


def join(descriptor: int, flag: int) -> None:
    """Join a namespace that exists already."""
    setns(descriptor, Clone(flag))


def _report(channel: socket.socket, fault: str, message: str, number: int) -> None:
    try:
        send(channel, Kind.FAILED, {"fault": fault, "message": message, "errno": number})
    except OSError:
        # The monitor is gone; PDEATHSIG is about to say the same.
        os._exit(_LOST)


def _take(journal: Journal, context: world.Context, steps: list[list[Any]]) -> None:
    for name, *operands in steps:
        principle, function = STEPS[name]
        journal.run(principle, function, context, *operands)


def _wait_parked(channel: socket.socket, journal: Journal, context: world.Context, interface: list[Any]) -> None:
    if interface:
        _expect(channel, Kind.GO)
        _take(journal, context, [["park_link", *interface]])
    send(channel, Kind.READY)
    rehearsal.of_init()
    journal.entries.clear()


def _serve(channel: socket.socket, journal: Journal, context: world.Context, tasks: list[int]) -> None:
    message = _expect(channel, Kind.SETUP)
    setup = message.body
    for descriptor in message.descriptors:
        context.names = socket.socket(fileno=descriptor)
    _shut_the_doors()
    _take(journal, context, setup["before"])
    _receive_root(channel, context)
    _take(journal, context, setup["root"])
    _send_terminal(channel, context)
    _expect(channel, Kind.GO)
    if tasks:
        # Only now: what the making of the root costs is the engine's and not counted against the container's limits.
        journal.run("control groups", step_in, tasks)
    _take(journal, context, setup["enter"])
    if setup["explain"]:
        send(channel, Kind.READY, {"steps": journal.rows()})
    if context.gate >= 0:
        _wait_at_the_gate(channel, context)
    _become_the_program(channel, context, bool(setup["init"]))


def _wait_at_the_gate(channel: socket.socket, context: world.Context) -> None:
    """An OCI runtime's `create` ends here, and with it the process that made this one; `start` writes a byte into the pipe."""
    prctl(Prctl.SET_PDEATHSIG, 0)
    send(channel, Kind.READY)
    opened = os.read(context.gate, 1)
    os.close(context.gate)
    if not opened:
        os._exit(_LOST)
    if context.at_start is not None:
        failed = context.at_start()
        os.write(context.hooked, failed.encode())
        os.close(context.hooked)
        if failed:
            os._exit(_LOST)


def _send_terminal(channel: socket.socket, context: world.Context) -> None:
    if context.terminal >= 0:
        send(channel, Kind.READY, {}, [context.terminal])
        os.close(context.terminal)
        context.terminal = -1


def _cross(channel: socket.socket) -> None:
    """Go on as a copy inside the container's pid namespace. Who stands before the namespace has already become the user.

    A process in there can be driven by any other that has CAP_SYS_PTRACE, dumpable or not (CVE-2016-9962); so none is ever
    in there with more than the container's capabilities, or without its filter. The copy is the monitor's own child. It may not
    run the program before the monitor has seen and recorded it (GO).
    """
    inside = fork_sibling()
    if inside == 0:
        os.setsid()
        _expect(channel, Kind.GO)
        return
    send(channel, Kind.READY, {"inside": inside})
    os._exit(0)


def _receive_root(channel: socket.socket, context: world.Context) -> None:
    """The descriptors of the root, of the three streams, of the binds and, for an OCI runtime, of what more it was given."""
    message = _expect(channel, Kind.ROOT)
    context.root, *rest = message.descriptors
    streams, preserved = int(message.body["streams"]), int(message.body.get("preserved", 0))
    context.preserved = [rest.pop() for _ in range(preserved)][::-1]
    if message.body.get("gate"):
        context.hooked, context.gate = rest.pop(), rest.pop()
    context.stdio, context.binds = rest[:streams], rest[streams:]


def _expect(channel: socket.socket, kind: Kind) -> Message:
    message = receive(channel)
    if message is None or message.kind is not kind:
        os._exit(_LOST)
    return message


def _shut_the_doors() -> None:
    """From here on nothing is imported: what would be found now belongs to the image."""
    sys.meta_path.clear()
    sys.path.clear()
    sys.path_hooks.clear()
    sys.addaudithook(_refuse_loading)


def _refuse_loading(event: str, _arguments: object) -> None:
    if event in ("import", "ctypes.dlopen", "compile"):
        os._exit(_LOST)


def _become_the_program(channel: socket.socket, context: world.Context, reaper: bool) -> None:
    handed = context.stdio + context.preserved
    # Copies above them first: one of the three may itself be 0, 1 or 2.
    copies = [_high_copy(descriptor, max(_LOWEST_COPY, len(handed))) for descriptor in handed]
    for target, descriptor in enumerate(copies):
        os.dup2(descriptor, target, inheritable=True)
    if context.console >= 0 or os.isatty(0):
        make_controlling(0)
    signals_as_a_program_expects()
    prctl(Prctl.SET_PDEATHSIG, 0)
    if reaper:
        _reap_in_front()
    _close_but(channel, len(handed))
    execute.execute(context)


def _high_copy(descriptor: int, lowest: int) -> int:
    copies = []
    copy = os.dup(descriptor)
    while copy < lowest:
        copies.append(copy)
        copy = os.dup(descriptor)
    for low in copies:
        os.close(low)
    return copy


def _close_but(channel: socket.socket, first: int) -> None:
    """Close, not only mark, all that is not the program's; the channel goes with the execve that succeeds (CVE-2024-21626)."""
    # Who made this process had the program's own descriptors open: the channel's number is above them.
    kept = channel.fileno()
    close_all_but([*range(3, first), kept])


def signals_as_a_program_expects() -> None:
    """Python ignores SIGPIPE and SIGXFSZ; a program is born with every signal at its default and none blocked."""
    for number in _HANDLED:
        signal.signal(number, signal.SIG_DFL)
    signal.set_wakeup_fd(-1)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _reap_in_front() -> None:
    """Stand as PID 1 in front of the program: forward signals, reap orphans, end with the program's status."""
    # Blocked before the fork, so that none falls between it and the wait below.
    everything = set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}
    signal.pthread_sigmask(signal.SIG_BLOCK, everything)
    child = os.fork()
    if child == 0:
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.setpgid(0, 0)
        if os.isatty(0):
            signal.signal(signal.SIGTTOU, signal.SIG_IGN)
            os.tcsetpgrp(0, os.getpid())
            signal.signal(signal.SIGTTOU, signal.SIG_DFL)
        return
    close_from(3)
    prctl(Prctl.SET_DUMPABLE, 0)
    os._exit(_forward_and_reap(child, everything))


def _forward_and_reap(child: int, everything: set[signal.Signals]) -> int:
    while True:
        number = signal.sigwait(everything)
        if number != signal.SIGCHLD:
            try:
                os.kill(child, number)
            except ProcessLookupError:
                continue
            continue
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            if pid == child:
                code = os.waitstatus_to_exitcode(status)
                return code if code >= 0 else 128 - code
