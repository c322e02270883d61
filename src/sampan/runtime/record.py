"""The record of a run in the exec-root: who monitors, who is PID 1, since when, and at the end how it ended.

SQLite holds what is wanted; this file tells what runs. The monitor writes it before init may exec and once more when the
program has ended; it goes only after the daemon has committed the exit. It names processes by pid and start time within
one boot, so that a number used again is not taken for the process.

Loaded by the launcher.
"""

from __future__ import annotations

import errno
import json
import os
import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NAME = "record.json"
SOCKET = "monitor.sock"
VERSION = 1
"""Of records. Members are added without a new one; a change that an older daemon would misread makes one."""
_LIMIT = 64 * 1024


class NewerRecord(Exception):
    """A program runs, or has ended, under a newer Sampan than this. To pass over its record would be to forget the program."""


def boot_id() -> str:
    """The kernel's name for the time since this boot (random(4))."""
    with open("/proc/sys/kernel/random/boot_id") as file:
        return file.read().strip()


def start_time(pid: int) -> int:
    """When a process started, in clock ticks since boot (proc(5), field 22). Raises FileNotFoundError where there is none."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        return int(file.read().rsplit(b") ", 1)[1].split()[22 - 3])


def parent(pid: int) -> int:
    """The parent of a process (proc(5), `stat`, field 4). Raises FileNotFoundError where there is none."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        return int(file.read().rsplit(b") ", 1)[1].split()[4 - 3])


def of_monitor(pid: int) -> dict[str, Any]:
    """What of a record is known as soon as there is a monitor, `pid`."""
    return {"version": VERSION, "boot": boot_id(), "monitor": [pid, start_time(pid)]}


def listen(directory: str) -> socket.socket:
    """The socket beside the record on which a later daemon finds the monitor. The directory is made, for root alone."""
    os.makedirs(directory, 0o700, exist_ok=True)
    path = f"{directory}/{SOCKET}"
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    # Bound through the directory's descriptor: a data root may be deeper than the 107 bytes of sun_path.
    opened = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        listener.bind(f"/proc/self/fd/{opened}/{SOCKET}")
    finally:
        os.close(opened)
    os.chmod(path, 0o600)
    listener.listen(4)
    return listener


def write(directory: str, body: dict[str, Any]) -> None:
    """Write the record, or replace it at once: a reader sees the old or the new; half of a first one reads as none."""
    text = json.dumps(body, separators=(",", ":")).encode()
    path = f"{directory}/{NAME}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        descriptor = os.open(path, flags, 0o600)
        path = ""
    except FileExistsError:
        descriptor = os.open(f"{directory}/.{NAME}", flags & ~os.O_EXCL | os.O_TRUNC, 0o600)
    try:
        _write(descriptor, text)
    finally:
        os.close(descriptor)
    if path:
        os.rename(f"{directory}/.{NAME}", path)


def _write(descriptor: int, text: bytes) -> None:
    if os.write(descriptor, text) < len(text):
        # A regular file takes less than it is given where the disk has no more.
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def add(directory: str, body: dict[str, Any]) -> None:
    """Add members to the record that stands there, as a line of its own, which takes no room beyond the file's last page or block.

    For a full disk, where `write` cannot. Half of such a line is no line. Raises OSError.
    """
    descriptor = os.open(f"{directory}/{NAME}", os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        _write(descriptor, b"\n" + json.dumps(body, separators=(",", ":")).encode() + b"\n")
    finally:
        os.close(descriptor)


def read(directory: str) -> dict[str, Any] | None:
    """The record in `directory`; None where there is none or it is not one (the monitor died before it was whole)."""
    try:
        with open(f"{directory}/{NAME}", "rb") as file:
            first, _, more = file.read(_LIMIT).partition(b"\n")
        body = json.loads(first)
        added = json.loads(more) if more.endswith(b"\n") else {}
    except (FileNotFoundError, ValueError, RecursionError):
        return None
    if not isinstance(body, dict) or not isinstance(added, dict):
        return None
    body.update(added)
    if body.get("version") != VERSION:
        raise NewerRecord(f"{directory} is the record of a run under a newer Sampan (version {body.get('version')})")
    return body


def is_alive(pid: int, started: int) -> bool:
    """Whether the process that a record names still is the one that has the number now (a zombie is not alive)."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rsplit(b") ", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return int(fields[22 - 3]) == started and fields[0] not in (b"Z", b"X")


def any_runs(exec_root: str) -> bool:
    """Whether some container's monitor lives, whoever forked it."""
    directory = f"{exec_root}/containers"
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return False
    bodies = (read(f"{directory}/{name}") for name in names)
    try:
        return any(body is not None and is_alive(*body["monitor"]) for body in bodies)
    except (NewerRecord, KeyError, TypeError):
        # What cannot be understood may be about a program that runs.
        return True
