"""How a container's control groups come to rest and to an end: frozen, killed, waited for, removed. All waits are bounded.

Loaded by the launcher.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import time

from sampan.cgroups import scopes
from sampan.cgroups.groupfile import UNIFIED, pids, put, read, tree, unique

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_PAUSE = 0.002
_PAUSE_MOST = 0.05


class Frozen:
    """Processes that `freeze` has stopped. What lets them go on is open from before: the host may have no descriptors left."""

    __slots__ = ("_descriptor", "_thawed")

    def __init__(self, path: str, frozen: bytes, thawed: bytes) -> None:
        """Have the kernel begin to stop them, by the word `frozen` in the file `path`; `thawed` undoes it. Raises OSError."""
        self._thawed = thawed
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(self._descriptor, frozen)
        except BaseException:
            self.close()
            raise

    def thaw(self) -> None:
        """Let them go on. Once. Raises OSError ENODEV where the group is gone, and nobody is left to go on."""
        try:
            os.write(self._descriptor, self._thawed)
        finally:
            self.close()

    def close(self) -> None:
        """Leave them as they are. Instead of `thaw`."""
        os.close(self._descriptor)


def freeze(groups: Mapping[str, str], seconds: float = 5.0) -> Frozen:
    """Stop every process of the container, and return when they stand still. TimeoutError, and thawed again, if they do not.

    The v2 tree is used where there is one: what is frozen there can still be killed. OSError ENODEV where there is neither
    that nor v1's freezer. The caller thaws or closes what it gets.
    """
    if UNIFIED in groups:
        frozen = Frozen(f"{groups[UNIFIED]}/cgroup.freeze", b"1", b"0")
    elif "freezer" in groups:
        frozen = Frozen(f"{groups['freezer']}/freezer.state", b"FROZEN", b"THAWED")
    else:
        raise OSError(errno.ENODEV, "the control group controller freezer is not mounted")
    try:
        if not _are_still(groups, seconds):
            raise TimeoutError(errno.ETIMEDOUT, f"not frozen after {seconds} s", next(iter(groups.values())))
    except BaseException:
        frozen.thaw()
        raise
    return frozen


def _are_still(groups: Mapping[str, str], seconds: float) -> bool:
    if UNIFIED in groups:
        return _until_event(groups[UNIFIED], "frozen", 1, seconds)
    return _until(lambda: read(f"{groups['freezer']}/freezer.state").strip() == "FROZEN", seconds)


def thaw(groups: Mapping[str, str]) -> None:
    """Let the container's processes go on, whoever froze them. Nothing happens where they were not frozen."""
    if UNIFIED in groups:
        put(f"{groups[UNIFIED]}/cgroup.freeze", "0")
    elif "freezer" in groups:
        put(f"{groups['freezer']}/freezer.state", "THAWED")


def frozen(groups: Mapping[str, str]) -> bool:
    """Whether the container has been told to stand still by `freeze`; false where its groups are gone."""
    try:
        if UNIFIED in groups:
            return read(f"{groups[UNIFIED]}/cgroup.freeze").strip() == "1"
        return "freezer" in groups and read(f"{groups['freezer']}/freezer.state").strip() != "THAWED"
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENODEV):
            return False
        raise


def kill(groups: Mapping[str, str], seconds: float = 10.0) -> None:
    """Kill every process in the container's groups and below, and wait until all are gone (zombies count as gone).

    With cgroup.kill (v2, Linux 5.14) the kernel does it at once and nothing can fork away from it. What stands only in a v1
    hierarchy, and everything on older kernels, is killed from the list, frozen where that is possible, until the list is
    empty. TimeoutError after `seconds`. Nothing happens where the groups are gone.
    """
    deadline = time.monotonic() + seconds
    pause = _PAUSE
    _kill_unified(groups)
    while _survivors(groups):
        if UNIFIED not in groups:
            _try_put(groups.get("freezer"), "freezer.state", "FROZEN")
        for pid in _survivors(groups):
            _kill_process(pid)
        # A process that the v1 freezer holds dies only when it is let go.
        _try_put(groups.get("freezer"), "freezer.state", "THAWED")
        if not _survivors(groups):
            return
        if time.monotonic() > deadline:
            left = _survivors(groups)
            raise TimeoutError(errno.ETIMEDOUT, f"processes {left[:8]} do not end", next(iter(groups.values())))
        time.sleep(pause)
        pause = min(pause * 2, _PAUSE_MOST)


def wait_empty(groups: Mapping[str, str], seconds: float) -> bool:
    """Whether the groups have no process left within `seconds`. A group that is gone is empty."""
    if UNIFIED in groups:
        return _until_event(groups[UNIFIED], "populated", 0, seconds)
    return _until(lambda: not _survivors(groups), seconds)


def are_left(groups: Mapping[str, str]) -> bool:
    """Whether `remove` has not come to its end: it goes by the order of `groups`, so that the last one tells."""
    directories = unique(groups)
    return bool(directories) and os.path.exists(directories[-1])


def remove(groups: Mapping[str, str], seconds: float = 2.0) -> None:
    """Remove the container's directories, with the groups that its program made below. Those that are gone are no fault.

    The last process of a group may still be on its way out when its parent has reaped it, so EBUSY is tried again for
    `seconds`; then OSError EBUSY, with the directory.
    """
    if unit := scopes.unit_of(groups):
        scopes.stop(unit)
    deadline = time.monotonic() + seconds
    for directory in unique(groups):
        pause = _PAUSE
        while not _removed(directory):
            if time.monotonic() > deadline:
                raise OSError(errno.EBUSY, "control group is not empty", directory)
            time.sleep(pause)
            pause = min(pause * 2, _PAUSE_MOST)


def clear(groups: Mapping[str, str]) -> None:
    """Kill what stands in the container's groups, and remove them. Raises OSError."""
    kill(groups)
    remove(groups)


def _removed(directory: str) -> bool:
    try:
        os.rmdir(directory)
    except FileNotFoundError:
        return True
    except OSError as error:
        if error.errno not in (errno.EBUSY, errno.ENOTEMPTY):
            raise
    else:
        return True
    below = list(tree(directory))[1:]
    return bool(below) and all(_removed(group) for group in reversed(below)) and _removed(directory)


def _kill_unified(groups: Mapping[str, str]) -> None:
    directory = groups.get(UNIFIED)
    if directory is None or not _try_put(directory, "cgroup.kill", "1"):
        return
    _try_put(groups.get("freezer"), "freezer.state", "THAWED")
    _until_event(directory, "populated", 0, 0.05)


def _survivors(groups: Mapping[str, str]) -> list[int]:
    found = {pid for directory in unique(groups) for group in tree(directory) for pid in pids(group)}
    found.discard(0)
    return sorted(found)


def _kill_process(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _try_put(directory: str | None, name: str, text: str) -> bool:
    """Whether there was such a file to write."""
    if directory is None:
        return False
    try:
        put(f"{directory}/{name}", text)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENODEV, errno.EOPNOTSUPP):
            return False
        raise
    return True


def _until(ready: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    pause = _PAUSE
    while not ready():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
        pause = min(pause * 2, _PAUSE_MOST)
    return True


def _until_event(directory: str, key: str, value: int, seconds: float) -> bool:
    """Wait until `key` of cgroup.events is `value`; the kernel wakes us with POLLPRI at each change."""
    path = f"{directory}/cgroup.events"
    deadline = time.monotonic() + seconds
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return value == 0
    try:
        waiting = select.poll()
        waiting.register(descriptor, select.POLLPRI)
        while True:
            try:
                now = os.pread(descriptor, 4096, 0).decode("ascii")
            except OSError as error:
                if error.errno != errno.ENODEV:
                    raise
                return value == 0
            if f"{key} {value}\n" in now:
                return True
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            waiting.poll(int(left * 1000) + 1)
    finally:
        os.close(descriptor)
