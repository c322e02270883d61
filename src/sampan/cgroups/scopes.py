"""A container's group as a transient scope of systemd's (systemd.scope(5)): made, and changed.

systemd makes no scope without a process, and takes it away when the last has gone. So a child holds it that does nothing; what
is born in the group afterwards keeps it, and the child goes (`runtime.holding`). The container's own processes are moved by nobody.

    holder ─▶ StartTransientUnit(PIDs: the holder) ─▶ JobRemoved ─▶ limits ─▶ init is born ─▶ the holder goes

Loaded by the launcher.
"""

from __future__ import annotations

import errno
import time

from sampan.cgroups.dbus import Manager, Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

_SECONDS = 30.0
"""For one answer of a busy systemd."""
_OF_BEFORE = 5.0
"""Seconds for the scope of an earlier run to go: systemd takes it away when it has its turn."""
_PAUSE = 0.01
_EXISTS = "org.freedesktop.systemd1.UnitExists"


def start(unit: str, properties: Sequence[Sequence[Any]], holder: int) -> None:
    """Have systemd make the scope `unit` with the process `holder` in it. `properties` are (name, signature, value).

    The caller's directories are those that systemd has made when this returns. Raises OSError.
    """
    manager = Manager(_SECONDS)
    try:
        _start(manager, unit, [*properties, ("PIDs", "au", [holder])])
    finally:
        manager.close()


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
        manager = Manager(_SECONDS)
        try:
            manager.call("LoadUnit", "s", "system.slice")
        finally:
            manager.close()
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _start(manager: Manager, unit: str, properties: Sequence[Sequence[Any]]) -> None:
    job = _job(manager, unit, properties)
    path = result = ""
    while path != job:
        _, path, _, result = manager.signal("JobRemoved")
    if result != "done":
        raise OSError(errno.EPROTO, f"systemd did not start {unit}: {result}")


def _job(manager: Manager, unit: str, properties: Sequence[Sequence[Any]]) -> str:
    """Ask for the start, once more while the scope of an earlier run is on its way out."""
    deadline = time.monotonic() + _OF_BEFORE
    while True:
        try:
            started = manager.call("StartTransientUnit", "ssa(sv)a(sa(sv))", unit, "fail", _variants(properties), [])
            return str(started[0])
        except Refused as refused:
            if refused.name != _EXISTS or time.monotonic() > deadline:
                raise
        time.sleep(_PAUSE)


def _variants(properties: Sequence[Sequence[Any]]) -> list[tuple[str, tuple[str, Any]]]:
    return [(name, (signature, value)) for name, signature, value in properties]
