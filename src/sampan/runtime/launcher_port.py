"""The daemon's hold on its launcher: started once, started again when it dies, asked to fork."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import Callable

from sampan.runtime.channel import Channel, ChannelClosed
from sampan.runtime.messages import LAUNCHER_SOCKET, PROTOCOL, Kind, Message, ProtocolError, receive
from sampan.runtime.spawn import spawn_launcher
from sampan.runtime.start_failure import StartFailed, StartFault

_log = logging.getLogger("sampan.runtime")
_READY_SECONDS = 60.0
_INHERIT_SECONDS = 2.0
_AGAIN_SECONDS = (0.1, 10.0)
"""how long after a launcher that did not come up the next one is started: at first, and at most"""


class LauncherPort:
    """One launcher at a time. A request that its death interrupts fails; the next one goes to its successor."""

    def __init__(
        self,
        exec_root: str,
        data_root: str,
        environment: dict[str, str],
        host_layer: Callable[[], int] | None,
        log_format: str,
    ) -> None:
        self._exec_root = exec_root
        self._data_root = data_root
        self._environment = environment
        self._host_layer = host_layer
        self._log_format = log_format
        self._channel: Channel | None = None
        self._ready: asyncio.Future[None] | None = None
        self._kept: list[socket.socket] = []
        self._closing = False
        self._ended: list[int] = []
        self._timer: asyncio.TimerHandle | None = None
        """to the end of what a launcher may take to get ready, or to the start of the next"""
        self._again_seconds = _AGAIN_SECONDS[0]
        self.pid = 0

    def inherit(self) -> list[socket.socket]:
        """The listening sockets that the launcher of a dead daemon kept; that launcher ends. Blocks for a moment."""
        opened = os.open(self._exec_root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as caller:
                caller.settimeout(_INHERIT_SECONDS)
                caller.connect(f"/proc/self/fd/{opened}/{LAUNCHER_SOCKET}")
                message = receive(caller)
        except (OSError, ProtocolError):
            # There is no such launcher, or none that can be talked to.
            return []
        finally:
            os.close(opened)
        return [socket.socket(fileno=descriptor) for descriptor in message.descriptors] if message else []

    def keep(self, sockets: list[socket.socket]) -> None:
        """Have this and each later launcher hold `sockets`."""
        self._kept = sockets
        if self._channel is not None:
            self._channel.post(Kind.KEEP, {}, [sock.fileno() for sock in sockets])

    async def open(self) -> None:
        """Start the launcher and wait until it is ready. Raises StartFailed where it does not come up."""
        self._spawn()
        assert self._ready is not None
        await asyncio.shield(self._ready)

    def _spawn(self) -> None:
        self._calm()
        layer = self._host_layer() if self._host_layer is not None else -1
        try:
            self.pid, sock = spawn_launcher(
                self._data_root, self._exec_root, self._environment, layer, self._log_format
            )
        finally:
            if layer >= 0:
                os.close(layer)
        loop = asyncio.get_running_loop()
        self._ready = loop.create_future()
        self._timer = loop.call_later(_READY_SECONDS, self._late)
        self._channel = Channel(sock, self._heard, self._lost)
        if self._kept:
            with contextlib.suppress(ChannelClosed):  # its end will be heard
                self._channel.post(Kind.KEEP, {}, [kept.fileno() for kept in self._kept])

    def _late(self) -> None:
        """It hangs. It has not been waited for, so the pid is still its own."""
        _log.error("the launcher is not ready after %g s", _READY_SECONDS)
        os.kill(self.pid, signal.SIGKILL)

    def _heard(self, message: Message) -> None:
        if message.kind is Kind.HELLO and self._ready is not None and not self._ready.done():
            spoken = message.body.get("protocol")
            if not isinstance(spoken, int) or spoken < PROTOCOL:
                _log.error("the launcher speaks protocol %s, this daemon %s", spoken, PROTOCOL)
            self._calm()
            self._ready.set_result(None)
            self._again_seconds = _AGAIN_SECONDS[0]
        message.close()

    def _lost(self) -> None:
        self._calm()
        self._reap()
        self._channel = None
        if self._ready is not None and not self._ready.done():
            self._ready.set_exception(StartFailed(StartFault.OTHER, "the launcher ended while it was starting"))
            # Nobody may be waiting: the next request meets the same failure.
            self._ready.exception()
            self._spawn_later("the launcher ended while it was starting")
        elif not self._closing:
            _log.warning("the launcher is gone; starting another")
            self._spawn_again()

    def _spawn_later(self, why: str) -> None:
        """Slots and resolvers wait for a launcher, whether or not a request comes that would start one."""
        _log.error("%s; another is tried in %g s", why, self._again_seconds)
        self._timer = asyncio.get_running_loop().call_later(self._again_seconds, self._spawn_again)
        self._again_seconds = min(2 * self._again_seconds, _AGAIN_SECONDS[1])

    def _spawn_again(self) -> None:
        try:
            self._spawn()
        except OSError as error:
            self._spawn_later(f"no launcher can be started: {error}")

    def _calm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def fork(self, kind: Kind, body: object, descriptors: list[int]) -> int:
        """Have a monitor forked for START, EXEC or PARK; returns a pidfd of it. Raises StartFailed."""
        if self._channel is None:
            await self.open()
        assert self._channel is not None
        assert self._ready is not None
        try:
            answer = await self._channel.ask(kind, body, descriptors)
        except ChannelClosed as closed:
            raise StartFailed(StartFault.OTHER, "the launcher ended during the start") from closed
        if answer.kind is not Kind.FORKED:
            answer.close()
            raise StartFailed(StartFault.OTHER, str(answer.body.get("message", "the launcher refused")))
        return answer.descriptors[0]

    async def close(self) -> None:
        """Let go; a launcher without a daemon ends by itself once no monitor is left."""
        self._closing = True
        self._calm()
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def _reap(self) -> None:
        """A process lets go of its sockets some time before it can be waited for: what is too early now is done at the next."""
        self._ended.append(self.pid)
        for pid in tuple(self._ended):
            try:
                gone = os.waitpid(pid, os.WNOHANG)[0] == pid
            except ChildProcessError:
                gone = True
            if gone:
                self._ended.remove(pid)
