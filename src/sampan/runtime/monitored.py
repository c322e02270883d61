"""One monitor as the daemon sees it: from the fork to the moment its process is gone."""

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Callable, Sequence

from sampan.cgroups import ending
from sampan.errors import System
from sampan.runtime.adoption import clear_groups, parse_exit
from sampan.runtime.channel import Channel, ChannelClosed
from sampan.runtime.messages import MALFORMED, Kind, Message, ProtocolError
from sampan.runtime.request import Exit, Running, Step
from sampan.runtime.start_failure import StartFailed, StartFault
from sampan.spec.ids import ContainerId

_log = logging.getLogger("sampan.runtime")


class Monitored:
    """A container's or exec's monitor: the channel to it, the pidfds of it and of its program, how it all went."""

    def __init__(self, identifier: str, container: ContainerId, directory: str, groups: dict[str, str]) -> None:
        self.id = identifier
        self.container = container
        self.directory = directory
        self.groups = groups
        self.started: asyncio.Future[Running] = asyncio.get_running_loop().create_future()
        self.parked: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """done when a slot's world is made"""
        self.exit: Exit | None = None
        self.pidfd = -1
        """of the program; valid from STARTED on"""
        self.pid = 0
        self.pid_start = 0
        self.clears_log = False
        """whether its monitor knows the request; those of earlier releases do not"""
        self._channel: Channel | None = None
        self._monitor_pidfd = -1
        self._frozen: ending.Frozen | None = None
        self._gone = asyncio.Event()
        self._ended: Callable[[Monitored, Exit], None] | None = None
        self.when_detached: Callable[[Monitored], None] = _nobody
        """called when a client has typed the detach keys"""
        self._when_gone: Callable[[Monitored], None] = _nobody

    def claim(self, identifier: str, container: ContainerId, directory: str, groups: dict[str, str]) -> None:
        """A parked monitor becomes that of this container or exec."""
        self.id = identifier
        self.container = container
        self.directory = directory
        self.groups = groups

    @property
    def is_exec(self) -> bool:
        """Whether this is one more process of a container, not the container."""
        return self.id != self.container

    @property
    def gone(self) -> bool:
        """Whether the monitor's process has ended: mount, ports and groups are let go."""
        return self._gone.is_set()

    def listen(self, sock: socket.socket, ended: Callable[["Monitored", Exit], None]) -> None:
        """Hear the monitor on `sock`; `ended` is called once, when it has said how the program ended."""
        self._ended = ended
        self._channel = Channel(sock, self._heard, self._channel_closed)

    def watch_monitor(self, pidfd: int, gone: Callable[["Monitored"], None]) -> None:
        """Own `pidfd` of the monitor; `gone` is called once, when its process has ended, and nothing of it is left.

        One that was killed between its last word and the removal of the program's groups leaves them: nobody else knows of them
        until the next daemon looks, and the next run of the container has groups of the same names.
        """
        self._monitor_pidfd = pidfd
        self._when_gone = gone
        asyncio.get_running_loop().add_reader(pidfd, self._monitor_ended, pidfd)

    def _monitor_ended(self, pidfd: int) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(pidfd)
        if self.exit is None or self.is_exec or not ending.are_left(self.groups):
            self._is_gone(pidfd)
            return
        try:
            clearing = loop.run_in_executor(None, clear_groups, self.groups)
        except System as error:
            _log.warning("control groups of %s stay until the daemon's next start: %s", self.id[:12], error)
            self._is_gone(pidfd)
            return
        clearing.add_done_callback(lambda _: self._is_gone(pidfd))

    def _is_gone(self, pidfd: int) -> None:
        if self._monitor_pidfd != pidfd:
            return  # let go of meanwhile
        os.close(pidfd)
        self._monitor_pidfd = -1
        self._gone.set()
        self._close_pidfd()
        self._forget_frozen()
        self._when_gone(self)

    async def wait_gone(self, seconds: float) -> bool:
        """Wait for the end of the monitor's process; False where it is still there after `seconds`."""
        if self._monitor_pidfd < 0:
            return True
        try:
            await asyncio.wait_for(self._gone.wait(), seconds)
        except TimeoutError:
            return False
        return True

    async def ask(self, kind: Kind, body: object, descriptors: Sequence[int] = ()) -> None:
        """Have the monitor do something. Raises OSError with its words where it could not, KeyError where it is gone."""
        if self._channel is None:
            raise KeyError(self.id)
        try:
            reply = await self._channel.ask(kind, body, descriptors)
        except ChannelClosed as closed:
            raise KeyError(self.id) from closed
        if reply.body["error"]:
            raise OSError(str(reply.body["error"]))

    def pidfds(self) -> tuple[int, int]:
        """Of the program and of the monitor, -1 for one that is gone. They stay this object's."""
        return self.pidfd, self._monitor_pidfd

    def signal(self, number: int) -> None:
        """Send a signal to the program. Raises KeyError where it has ended, or its monitor has and it is about to be killed."""
        if self.pidfd < 0:
            raise KeyError(self.id)
        try:
            signal.pidfd_send_signal(self.pidfd, number)
        except ProcessLookupError as error:
            raise KeyError(self.id) from error

    @property
    def has_started(self) -> bool:
        """Whether its program has been executed."""
        return self.started.done() and not self.started.cancelled() and self.started.exception() is None

    def post(self, kind: Kind, body: object, descriptors: Sequence[int] = ()) -> None:
        """Send what has no reply of its own. Raises ChannelClosed."""
        if self._channel is None:
            raise ChannelClosed(kind.name)
        self._channel.post(kind, body, descriptors)

    def hang_up(self) -> None:
        """Close the channel, which ends a parked monitor; its process is still watched."""
        if self._channel is not None:
            self._channel.close()

    def rewatch(self, gone: Callable[["Monitored"], None], ended: Callable[["Monitored", Exit], None]) -> None:
        """From now on `gone` and `ended` are called instead of those given before: a slot has become a container."""
        self._when_gone = gone
        self._ended = ended

    def let_go(self) -> None:
        """Stop listening; the monitor goes on."""
        if self._channel is not None:
            self._channel.close()
        if self._monitor_pidfd >= 0:
            asyncio.get_running_loop().remove_reader(self._monitor_pidfd)
            os.close(self._monitor_pidfd)
            self._monitor_pidfd = -1
        self._close_pidfd()
        self._forget_frozen()

    def say_ended(self, ended: Exit) -> None:
        """Take `ended` as the end, unless it has been heard already."""
        if self.exit is None:
            self.exit = ended
            if self._ended is not None:
                self._ended(self, ended)

    def stands_still(self, frozen: ending.Frozen) -> None:
        """Its processes are frozen; `frozen` is this object's from now on."""
        self._forget_frozen()
        if self.gone:
            frozen.close()
        else:
            self._frozen = frozen

    def go_on(self) -> None:
        """Thaw its processes. Raises OSError."""
        frozen, self._frozen = self._frozen, None
        if frozen is not None:
            frozen.thaw()
        else:
            ending.thaw(self.groups)  # an earlier daemon froze them

    def _forget_frozen(self) -> None:
        if self._frozen is not None:
            self._frozen.close()
            self._frozen = None

    def _close_pidfd(self) -> None:
        # Signals need it until the exit is known; with the monitor gone and an orphan to kill, cgroups do the work.
        if self.pidfd >= 0:
            os.close(self.pidfd)
            self.pidfd = -1

    def _heard(self, message: Message) -> None:
        try:
            self._take(message)
        except MALFORMED as error:
            raise ProtocolError(f"monitor of {self.id[:12]}: {message.kind.name}: {error!r}") from error
        finally:
            message.close()

    def _take(self, message: Message) -> None:
        if message.kind is Kind.STARTED:
            self._take_started(message)
        elif message.kind is Kind.READY and not self.parked.done():
            self.parked.set_result(None)
        elif message.kind is Kind.FAILED and not self.started.done():
            body = message.body
            fault, text = StartFault(str(body["fault"])), str(body["message"])
            failure = StartFailed(fault, text, int(body["errno"]), steps_of(body.get("steps", [])))
            self.started.set_exception(failure)
            if not self.parked.done():
                self.parked.set_exception(failure)
                # Only a slot's maker waits for this one.
                self.parked.exception()
        elif message.kind is Kind.DETACHED:
            self.when_detached(self)
        elif message.kind is Kind.EXITED:
            if not self.started.done():
                # A connection made after the end: there was a start, and nobody waits for it.
                self.started.set_exception(StartFailed(StartFault.OTHER, "it has ended"))
            self.say_ended(parse_exit(message.body))

    def _take_started(self, message: Message) -> None:
        body = message.body
        running = Running(
            int(body["pid"]), int(body["monitor"]), int(body["started_ns"]), steps_of(body.get("steps", []))
        )
        self.pid_start = int(body["pid_start"])
        self.clears_log = bool(body.get("clears_log"))
        self.pidfd = message.descriptors.pop(0)
        self.pid = running.pid
        if not self.started.done():
            self.started.set_result(running)

    def _channel_closed(self) -> None:
        if not self.started.done():
            self.started.set_exception(
                StartFailed(StartFault.OTHER, "the monitor ended before the program was started")
            )


def _nobody(_monitored: Monitored) -> None:
    """Nobody waits for the end of this process."""


def steps_of(rows: list[list[str | int]]) -> tuple[Step, ...]:
    """Steps as monitor and init report them, in the order in which they began; times from the first one on."""
    if not rows:
        return ()
    ordered = sorted(rows, key=lambda row: int(row[3]))
    first = int(ordered[0][3])
    return tuple(
        Step(str(row[0]), str(row[1]), str(row[2]), (int(row[3]) - first) // 1000, int(row[4]) // 1000, str(row[5]))
        for row in ordered
    )
