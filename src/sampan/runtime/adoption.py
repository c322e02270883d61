"""What a daemon finds in the exec-root when it starts: which programs still run, which have ended, which were lost.

A record from another boot, or whose processes are gone, means "ended with the machine"; a monitor that is gone while its
program lives means that the program's output and end can no longer be heard, so its control group is killed.
"""

import logging
import os
import signal
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass

from sampan.cgroups import ending
from sampan.errors import System
from sampan.runtime import record
from sampan.runtime.request import Exit, Running

_log = logging.getLogger("sampan.runtime")


@dataclass(frozen=True, slots=True)
class Found:
    """One record. `channel` is a fresh connection to its monitor where that lives; else `exit` says how it ended."""

    id: str
    container: str
    directory: str
    running: Running
    groups: dict[str, str]
    exit: Exit | None
    channel: socket.socket | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """What a record says. `monitor` and `init` are pid and start time."""

    id: str
    container: str
    boot: str
    monitor: tuple[int, int]
    init: tuple[int, int]
    groups: dict[str, str]
    running: Running
    exit: Exit | None


def scan(exec_root: str) -> Iterator[Found]:
    """Every record below `exec_root`. Kills what has lost its monitor. Directories without a record are half-made starts.

    Raises System, before anything is touched, where one is of a newer Sampan.
    """
    boot = record.boot_id()
    for directory, told in _records(exec_root):
        if told is None:
            discard(directory)
        else:
            yield _judge(directory, told, boot)


def _records(exec_root: str) -> list[tuple[str, Told | None]]:
    found: list[tuple[str, Told | None]] = []
    for kind in ("containers", "execs"):
        parent = f"{exec_root}/{kind}"
        os.makedirs(parent, 0o700, exist_ok=True)
        for name in sorted(os.listdir(parent)):
            directory = f"{parent}/{name}"
            try:
                body = record.read(directory)
                found.append((directory, parse_record(body) if body is not None else None))
            except record.NewerRecord as error:
                raise System(f"{error}: start that one, it knows what it left running") from error
            except (ValueError, TypeError, LookupError, OverflowError) as error:
                hint = "remove the directory when its program has ended"
                raise System(f"{directory}/{record.NAME} is no record: {error!r}; {hint}") from error
    return found


def parse_record(body: dict[str, object]) -> Told:
    """The record as the monitor wrote it. Raises ValueError, TypeError, LookupError, OverflowError for anything else."""
    monitor, init = _pair(body["monitor"]), _pair(body["init"])
    return Told(
        id=str(body["id"]),
        container=str(body["container"]),
        boot=str(body["boot"]),
        monitor=monitor,
        init=init,
        groups={str(name): str(path) for name, path in _items(body["groups"])},
        running=Running(pid=init[0], monitor_pid=monitor[0], started_ns=int(str(body["started_ns"]))),
        exit=parse_exit(body["exit"]) if "exit" in body else None,
    )


def _judge(directory: str, told: Told, boot: str) -> Found:
    exited, channel = told.exit, None
    if exited is None and told.boot != boot:
        exited = Exit(code=255, ended_ns=told.running.started_ns, cause="machine-ended")
    elif exited is None:
        channel = _connect(directory) if record.is_alive(*told.monitor) else None
        if channel is None:
            exited = lost(told.groups, *told.init, is_exec=told.id != told.container)
    return Found(told.id, told.container, directory, told.running, told.groups, exited, channel)


def _pair(value: object) -> tuple[int, int]:
    if not isinstance(value, list) or len(value) != 2:
        raise ValueError(f"record with {value!r} where a process should stand")
    return int(value[0]), int(value[1])


def _items(value: object) -> list[tuple[object, object]]:
    if not isinstance(value, dict):
        raise ValueError(f"record with {value!r} where a table should stand")
    return list(value.items())


def parse_exit(body: object) -> Exit:
    """The exit as the monitor wrote or sent it."""
    said = dict(_items(body))
    return Exit(
        code=int(str(said["code"])),
        ended_ns=int(str(said["ended_ns"])),
        signal=int(str(said["signal"])),
        oom_killed=bool(said["oom_killed"]),
        # Monitors of earlier releases did not say how many.
        oom_kills=int(str(said.get("oom_kills", int(bool(said["oom_killed"]))))),
        oom_limit=int(str(said.get("oom_limit", 0))),
        oom_peak=int(str(said.get("oom_peak", 0))),
        cause=str(said["cause"]),
    )


def recorded_exit(directory: str) -> Exit | None:
    """The exit in a record; None where it has none, or there is no record."""
    body = record.read(directory)
    return parse_exit(body["exit"]) if body is not None and "exit" in body else None


def lost(groups: dict[str, str], pid: int, start: int, is_exec: bool) -> Exit:
    """A program without its monitor: killed with all that stands in its control groups. Exit 137, cause monitor-lost."""
    if is_exec or not groups:
        # Where there are no groups, the program is the first process of a pid namespace, and takes all others along.
        if record.is_alive(pid, start):
            _kill(pid)
    else:
        ending.clear(groups)
    return Exit(code=137, ended_ns=time.time_ns(), signal=signal.SIGKILL, cause="monitor-lost")


def clear_groups(groups: dict[str, str]) -> None:
    """Groups of a program that has ended, whose monitor was killed before it had removed them. Blocks."""
    try:
        ending.clear(groups)
    except OSError as error:
        _log.warning("of a monitor that was killed, %s stays: %s", error.filename, error.strerror)


def clear_up(groups: dict[str, str], directory: str) -> None:
    """What a monitor would have taken back, had it not been killed over a container or slot in the making. Blocks.

    A builder and an init die with their monitor (PDEATHSIG); nobody is left then who knows of the control groups.
    """
    try:
        ending.clear(groups)
        discard(directory)
    except OSError as error:
        _log.warning("of a start that was cut off, %s stays: %s", error.filename, error.strerror)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _connect(directory: str) -> socket.socket | None:
    """A connection to the monitor; None where it is between its exec and its listen, or on its way out."""
    opened = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        channel.connect(f"/proc/self/fd/{opened}/{record.SOCKET}")
    except OSError:
        channel.close()
        return None
    finally:
        os.close(opened)
    return channel


def discard(directory: str) -> None:
    """Remove the directory of a record: its few files, nothing below."""
    try:
        for name in os.listdir(directory):
            os.unlink(f"{directory}/{name}")
        os.rmdir(directory)
    except FileNotFoundError:
        # The other side, or an earlier call, was faster.
        return
