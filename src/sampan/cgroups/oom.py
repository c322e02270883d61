"""Being told when the kernel kills in a container for lack of memory, as it happens; by one descriptor for many containers.

v1 notifies an eventfd that was registered with `cgroup.event_control` (cgroup-v1/memory.rst, 10); v2 modifies `memory.events`,
which inotify sees (cgroup-v2.rst). Either only says "look again": the count is read from the group (`apply.oom_kills`).
"""

import errno
import os
import select
import struct
from collections.abc import Mapping

from sampan.cgroups.groupfile import UNIFIED, put
from sampan.cgroups.victims import Victims
from sampan.kernel.inotify import Inotify, inotify_add_watch, inotify_init1

_EVENT = struct.Struct("=iIII")  # inotify(7): watch, mask, cookie, length of the name that follows
_ROOM = 64 * 1024


class OomNotices:
    """Who is to be looked at. `fileno` becomes readable when `take` has something to tell."""

    def __init__(self) -> None:
        self._poll = select.epoll()
        self._eventfds: dict[int, str] = {}
        self._watches: dict[int, str] = {}
        self._known: dict[str, int] = {}
        """eventfd or watch, by name"""
        self._inotify = -1
        self.victims = Victims()

    def fileno(self) -> int:
        """The descriptor, for a selector."""
        return self._poll.fileno()

    def add(self, name: str, groups: Mapping[str, str]) -> None:
        """Ask for notices of what stands in `groups` (see `apply`), to be told as `name`. Raises OSError: ENOENT if they have gone.

        v1 gives notice before it has chosen whom to kill, and counts after it: the count may still be the old one.
        """
        if "memory" in groups and groups["memory"] != groups.get(UNIFIED):
            notice = _register(groups["memory"])
            self._eventfds[notice] = name
            self._known[name] = notice
            self._poll.register(notice, select.EPOLLIN)
        elif UNIFIED in groups:
            if self._inotify < 0:
                self._inotify = inotify_init1()
                self._poll.register(self._inotify, select.EPOLLIN)
            path = os.fsencode(f"{groups[UNIFIED]}/memory.events")
            watch = inotify_add_watch(self._inotify, path, Inotify.MODIFY)
            self._watches[watch] = name
            self._known[name] = watch

    def remove(self, name: str) -> None:
        """Want no more of `name`; its groups may have gone. The kernel itself ends a watch whose file has gone."""
        number = self._known.pop(name, -1)
        if self._eventfds.get(number) == name:
            self._poll.unregister(number)
            os.close(number)
            del self._eventfds[number]
        elif self._watches.get(number) == name:
            del self._watches[number]

    def take(self) -> set[str]:
        """Whom to look at, and forget the notices. Does not wait."""
        found = set()
        for descriptor, _ in self._poll.poll(0):
            if descriptor == self._inotify:
                found |= self._modified()
            elif descriptor in self._eventfds:
                _drain(descriptor)
                found.add(self._eventfds[descriptor])
        return found

    def _modified(self) -> set[str]:
        found = set()
        data = _drain(self._inotify)
        at = 0
        while at + _EVENT.size <= len(data):
            watch, _, _, length = _EVENT.unpack_from(data, at)
            at += _EVENT.size + length
            if watch < 0:
                # The queue was full, and some notices are lost: everybody is to be looked at.
                return set(self._watches.values())
            if watch in self._watches:
                found.add(self._watches[watch])
        return found

    def close(self) -> None:
        """Want nothing any more."""
        self.victims.close()
        for descriptor in (*self._eventfds, *([self._inotify] if self._inotify >= 0 else [])):
            os.close(descriptor)
        self._eventfds.clear()
        self._watches.clear()
        self._known.clear()
        self._inotify = -1
        self._poll.close()


def _register(directory: str) -> int:
    notice = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
    try:
        control = os.open(f"{directory}/memory.oom_control", os.O_RDONLY | os.O_CLOEXEC)
        try:
            # The kernel keeps what it needs of both; only the eventfd has to stay open.
            put(f"{directory}/cgroup.event_control", f"{notice} {control}")
        finally:
            os.close(control)
    except OSError:
        os.close(notice)
        raise
    return notice


def _drain(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, _ROOM)
    except OSError as error:
        if error.errno != errno.EAGAIN:
            raise
        return b""
