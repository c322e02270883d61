"""The follower: one process for each `logs --follow`, so that the stream goes on whatever becomes of the daemon.

It is forked by the launcher with the client's connection, whose HTTP head the daemon has answered, and the files of the log
from where the client wants them. It serves this one client and nobody else: it reads a piece of the log, sends it, and only
then reads the next, so a client that does not read costs a piece of memory and nothing more. It ends when the container has
ended and everything is sent, or when the client leaves. Nobody waits for it.

Loaded by the launcher.
"""

from __future__ import annotations

import os
import select
import socket
from io import FileIO

from sampan.kernel.inotify import Inotify, inotify_add_watch, inotify_init1
from sampan.kernel.landlock import Access, landlock_restrict, landlock_version
from sampan.kernel.process import Prctl, Title, prctl
from sampan.logs.reading import Query, Reading
from sampan.logs.records import frames, render
from sampan.runtime import record
from sampan.runtime.offspring import stand_alone
from sampan.telemetry import lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from sampan.runtime.messages import Message

_DRAIN_PAUSE = 10
_PAUSE_WITHOUT_INOTIFY = 50
"""milliseconds between two looks"""
_EVENTS = Inotify.MODIFY | Inotify.CREATE | Inotify.MOVED_TO | Inotify.DELETE_SELF | Inotify.MOVE_SELF | Inotify.ONLYDIR
_ROOM = 64 * 1024
_SYSTEM_ERROR = 3


def main(message: Message, title: Title) -> NoReturn:
    """Be a follower. Called in a fresh child of the launcher; never returns."""
    code = 1
    try:
        stand_alone(message.descriptors)
        body = message.body
        who = str(body["id"])[:12]
        title.set(f"sampan-follower {who}")
        lines.speak_as(f"follower of {who}", str(body["request_id"]))
        follower = Follower(body, message.descriptors)
        _confine((os.path.dirname(str(body["path"])), os.path.dirname(str(body["directory"]))))
        follower.run()
        code = 0
    except BaseException as error:  # noqa: BLE001 - the boundary of a process; the launcher's standard error is the daemon's log
        lines.broken(error)
    finally:
        os._exit(code)


class Follower:
    """`descriptors`: the client, pidfds of the program and of its monitor, the log's files. `body` is that of a FOLLOW."""

    def __init__(self, body: dict[str, Any], descriptors: list[int]) -> None:
        client, self._program, self._monitor, *files = descriptors
        self._client = socket.socket(fileno=client)
        self._client.setblocking(False)
        self._body = body
        self._tty = bool(body["tty"])
        self._chunked = bool(body["chunked"])
        self._reading = Reading(str(body["path"]), Query(**body["query"]))
        self._changes = _watch(os.path.dirname(str(body["path"])))
        self._reading.take_up([FileIO(number, "r") for number in files])

    def run(self) -> None:
        """Serve the client to the end, and let go of everything."""
        try:
            self._follow()
        except ClientGone:
            return
        finally:
            self._client.close()
            self._reading.close()
            for descriptor in (self._program, self._monitor, self._changes):
                if descriptor >= 0:
                    os.close(descriptor)

    def _follow(self) -> None:
        over = False
        while not over:
            # Asked before reading: what was written before the end is then among what is read.
            over = self._ended()
            try:
                self._send_what_is_there()
            except OSError as error:
                self._send([(_SYSTEM_ERROR, f"Error grabbing logs: {error}\n".encode())])
                break
            over = over or self._reading.done
            if not over:
                self._wait()
        if self._chunked:
            self._put(b"0\r\n\r\n")

    def _send_what_is_there(self) -> None:
        while self._reading.grown():
            if entries := self._reading.more():
                details, timestamps = bool(self._body["details"]), bool(self._body["timestamps"])
                self._send(render(entries, timestamps=timestamps, details=details))

    def _send(self, records: list[tuple[int, bytes]]) -> None:
        piece = frames(records, self._tty)
        self._put(b"%x\r\n%b\r\n" % (len(piece), piece) if self._chunked else piece)

    def _put(self, data: bytes) -> None:
        """Send all of it. Raises ClientGone."""
        left = memoryview(data)
        while left:
            try:
                left = left[self._client.send(left, socket.MSG_NOSIGNAL) :]
            except BlockingIOError:
                self._wait_for_client(select.POLLIN | select.POLLOUT, None)
            except OSError as error:
                raise ClientGone from error

    def _wait(self) -> None:
        """Wait until there may be something to do: the log, the client, or the container's end."""
        poll = select.poll()
        poll.register(self._client, select.POLLIN)
        poll.register(self._monitor, select.POLLIN)
        timeout: int | None = None if self._changes >= 0 else _PAUSE_WITHOUT_INOTIFY
        if _is_readable(self._program):
            # From here to the exit in the record is a moment: what is left in the pipes is drained.
            timeout = _DRAIN_PAUSE
        else:
            poll.register(self._program, select.POLLIN)
        if self._changes >= 0:
            poll.register(self._changes, select.POLLIN)
        ready = {descriptor for descriptor, _ in poll.poll(timeout)}
        if self._changes in ready:
            _drop_events(self._changes)
        if self._client.fileno() in ready:
            self._hear_client()

    def _wait_for_client(self, events: int, timeout: int | None) -> None:
        poll = select.poll()
        poll.register(self._client, events)
        for _, happened in poll.poll(timeout):
            if happened & ~select.POLLOUT:
                self._hear_client()

    def _hear_client(self) -> None:
        """The answer is the connection's last: what the client still says is dropped. Raises ClientGone at its end."""
        try:
            if not self._client.recv(_ROOM):
                raise ClientGone
        except BlockingIOError:
            return
        except OSError as error:
            raise ClientGone from error

    def _ended(self) -> bool:
        """Whether the run whose log this is has ended and all of its output is written."""
        if _is_readable(self._monitor):
            return True
        if not _is_readable(self._program):
            return False
        now = record.read(str(self._body["directory"]))
        # Committed and removed, or replaced by the record of the next run, which appends to the same log.
        return now is None or "exit" in now or now["init"] != self._body["init"]


def _confine(readable: tuple[str, ...]) -> None:
    """An extra lock, where the kernel has it: of all files only what lies in these directories can be read, and none written.

    The log's directory, and the one in which the record of each run lies: a directory of its own, made anew with the next.
    """
    version = landlock_version()
    if not version:
        return
    places = [os.open(place, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC) for place in readable]
    try:
        prctl(Prctl.SET_NO_NEW_PRIVS, 1)
        landlock_restrict([(place, Access.READ_FILE | Access.READ_DIR) for place in places], version)
    finally:
        for place in places:
            os.close(place)


class ClientGone(Exception):
    """There is nobody to send to."""


def _watch(directory: str) -> int:
    """A descriptor that tells of changes below `directory`; -1 where the kernel gives none (a user has 128 of them)."""
    descriptor = -1
    try:
        descriptor = inotify_init1()
        inotify_add_watch(descriptor, os.fsencode(directory), _EVENTS)
    except OSError:
        if descriptor >= 0:
            os.close(descriptor)
        return -1
    return descriptor


def _drop_events(descriptor: int) -> None:
    try:
        while len(os.read(descriptor, _ROOM)) > _ROOM // 2:
            pass
    except BlockingIOError:
        return


def _is_readable(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))
