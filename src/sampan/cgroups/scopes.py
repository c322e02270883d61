"""A container's group as a transient scope of systemd's (systemd.scope(5)): made, and changed.

systemd makes no scope without a process, and takes it away when the last has gone. So a child holds it that does nothing; what
is born in the group afterwards keeps it, and the child goes (`runtime.holding`). The container's own processes are moved by nobody.

    holder ─▶ StartTransientUnit(PIDs: the holder) ─▶ JobRemoved ─▶ limits ─▶ init is born ─▶ the holder goes
    the last process ends ─▶ StopUnit ─▶ rmdir

systemd makes the groups, writes what it was told into them, moves the holder there, and then says that the job is done. It does
its jobs only when nothing else asks for its attention (SD_EVENT_PRIORITY_IDLE), so on a starved machine any of these may take
long: runc has seen seconds (opencontainers/runc#2614). The signal is not the only witness: where it does not come, the holder's
group is looked at.

The end has to be told: systemd waits for the kernel's notice that the group is empty, and a group that is removed before the notice
is out takes it along. The scope would then stay for ever, and stand in the way of the container's next start.

Loaded by the launcher.
"""

from __future__ import annotations

import errno
import time

from sampan.cgroups.dbus import Manager, Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

_SECONDS = 90.0
"""For one answer of a busy systemd, and for one job: what systemd itself gives its services."""
_ASKED = 30.0
"""Seconds for the first question, at a daemon's start: half of what packaging/systemd/sampan.service gives that."""
_OF_BEFORE = 30.0
"""Seconds for the scope of an earlier run to go: systemd takes it away when it has its turn."""
_PAUSE = 0.01
_TELLING = 10.0
"""Seconds that an end may wait for systemd."""
_SILENCE = 1.0
"""Seconds without a word after which the holder's group is looked at."""
_EXISTS = "org.freedesktop.systemd1.UnitExists"


def start(unit: str, properties: Sequence[Sequence[Any]], holder: int) -> None:
    """Have systemd make the scope `unit` with the process `holder` in it. `properties` are (name, signature, value).

    The caller's directories are those that systemd has made when this returns. Raises OSError.
    """
    manager = Manager(_SECONDS)
    try:
        _start(manager, unit, [*properties, ("PIDs", "au", [holder])], holder)
    finally:
        manager.close()


def unit_of(groups: Mapping[str, str]) -> str:
    """The scope whose directories those are; "" where they are none of systemd's."""
    name = next(iter(groups.values()), "").rpartition("/")[2]
    return name if name.endswith(".scope") else ""


def stop(unit: str) -> None:
    """Tell systemd that a scope has ended, before its directories are removed. Whoever stands in it yet is asked to end.

    Nothing happens where systemd knows, or cannot be talked to: what it was not told, the next start of that name tells it.
    """
    try:
        manager = Manager(_TELLING)
        try:
            _stop(manager, unit)
        finally:
            manager.close()
    except OSError:
        return


def change(unit: str, properties: Sequence[Sequence[Any]]) -> None:
    """Other limits for a scope that stands, until it goes: else systemd would write the old ones back one day. Raises OSError."""
    manager = Manager(_SECONDS)
    try:
        manager.call("SetUnitProperties", "sba(sv)", unit, True, _variants(properties))
    finally:
        manager.close()


def trouble() -> str:
    """Why no systemd can be talked to here; "" where one answers."""
    try:
        manager = Manager(_ASKED)
        try:
            manager.call("LoadUnit", "s", "system.slice")
        finally:
            manager.close()
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _start(manager: Manager, unit: str, properties: Sequence[Sequence[Any]], holder: int) -> None:
    job = _job(manager, unit, properties)
    deadline = time.monotonic() + _SECONDS
    while True:
        removed = manager.signal("JobRemoved", _SILENCE)
        if removed is None:
            if stands_in(unit, holder):
                return
        elif removed[1] == job:
            if removed[3] != "done":
                raise OSError(errno.EPROTO, f"systemd did not start {unit}: {removed[3]}")
            return
        if time.monotonic() > deadline:
            raise TimeoutError(errno.ETIMEDOUT, f"systemd did not start {unit} in {_SECONDS:.0f} s")


def stands_in(unit: str, pid: int) -> bool:
    """Whether systemd has moved the process there, which it does last."""
    with open(f"/proc/{pid}/cgroup", encoding="utf-8", errors="surrogateescape") as file:
        return any(line.rstrip("\n").endswith(f"/{unit}") for line in file)


def _job(manager: Manager, unit: str, properties: Sequence[Sequence[Any]]) -> str:
    """Ask for the start, once more while the scope of an earlier run is on its way out."""
    deadline = time.monotonic() + _OF_BEFORE
    told = False
    while True:
        try:
            started = manager.call("StartTransientUnit", "ssa(sv)a(sa(sv))", unit, "fail", _variants(properties), [])
            return str(started[0])
        except Refused as refused:
            if refused.name != _EXISTS or time.monotonic() > deadline:
                raise
        if not told:
            _stop(manager, unit)
            told = True
        time.sleep(_PAUSE)


def _stop(manager: Manager, unit: str) -> None:
    try:
        manager.call("StopUnit", "ss", unit, "replace")
    except Refused:
        return  # it is gone


def _variants(properties: Sequence[Sequence[Any]]) -> list[tuple[str, tuple[str, Any]]]:
    return [(name, (signature, value)) for name, signature, value in properties]
