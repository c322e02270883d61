"""The launcher: exec'd once by the daemon, one thread, few imports; it forks for every start and exec,
and for every client that follows a log.

Forking a small process is what makes a start cheap: 0.2 ms at 9 MB against 0.9 at 47. It keeps no state about containers.
When the daemon dies it keeps the listening sockets, so that a container which has the API's socket bind-mounted goes on
working, and hands them to the next daemon; then it ends, and monitors live on without it.

    main ─▶ seal ─▶ own mount namespace ─▶ loop: START, EXEC, PARK,
                                             RESTORE, …_BY ────▶ fork ─▶ monitor
                                             FOLLOW ───────────▶ fork ─▶ follower
                                             RELINK ───────────▶ fork ─▶ relinker
                                             NET ──────────────▶ fork ─▶ sampan-net
"""

from __future__ import annotations

import gc
import os
import select
import signal
import socket
import struct
import sys

from sampan.crashpoints import check as check_crash_points
from sampan.crashpoints import crash_point
from sampan.kernel.process import Prctl, Title, prctl
from sampan.runtime import follower, launcher_root, monitor, record, relink, resolver, union
from sampan.runtime.messages import (
    DAEMON_DESCRIPTOR,
    HOST_LAYER_DESCRIPTOR,
    LAUNCHER_SOCKET,
    PROTOCOL,
    Kind,
    Message,
    ProtocolError,
    receive,
    send,
)
from sampan.telemetry import lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

_CREDENTIALS = struct.Struct("3i")
_LOOK_SECONDS = 1.0
_FORKED = {
    Kind.START: monitor.main,
    Kind.RESTORE: monitor.main,
    Kind.START_BY: monitor.main,
    Kind.EXEC_BY: monitor.main,
    Kind.EXEC: monitor.main,
    Kind.PARK: monitor.main,
    Kind.PARK_EXEC: monitor.main,
    Kind.FOLLOW: follower.main,
    Kind.RELINK: relink.main,
    Kind.NET: resolver.main,
}
"""What a child of the launcher is, by the message that asks for it."""
_NO_MONITORS = (Kind.FOLLOW, Kind.RELINK, Kind.NET)


class Launcher:
    """The loop. `daemon` is None after the daemon has gone."""

    def __init__(self, daemon: socket.socket, listener: socket.socket, title: Title, exec_root: str) -> None:
        self.daemon: socket.socket | None = daemon
        self.exec_root = exec_root
        self.listener = listener
        self.title = title
        self.kept: list[int] = []
        self.monitors: set[int] = set()
        """followers are not among them: they need no launcher, and a client that never leaves must not keep one"""

    def run(self) -> None:
        """Serve until there is neither a daemon nor a monitor, or until a new daemon has taken over."""
        wake, waker = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        wake.setblocking(False)
        waker.setblocking(False)
        signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, _noted)
        while self.daemon is not None or self.monitors or record.any_runs(self.exec_root):
            waiting = [wake, self.listener, *([self.daemon] if self.daemon is not None else [])]
            # The end of a monitor that an earlier launcher forked is told to nobody here.
            timeout = None if self.daemon is not None or self.monitors else _LOOK_SECONDS
            ready, _, _ = select.select(waiting, [], [], timeout)
            if wake in ready:
                wake.recv(4096)
                self._reap()
            if self.daemon is not None and self.daemon in ready:
                self._serve(self.daemon)
            if self.listener in ready and self._hand_over():
                return

    def _reap(self) -> None:
        while True:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                self.monitors.clear()
                return
            if pid == 0:
                return
            self.monitors.discard(pid)

    def _serve(self, daemon: socket.socket) -> None:
        try:
            message = receive(daemon)
        except (OSError, ProtocolError) as error:
            lines.say("error", str(error))
            message = None
        if message is None:
            daemon.close()
            self.daemon = None
            self._reap()
            return
        if message.kind is Kind.KEEP:
            for descriptor in self.kept:
                os.close(descriptor)
            self.kept, message.descriptors = message.descriptors, []
        elif message.kind in _FORKED:
            self._fork(daemon, message)
        message.close()

    def _fork(self, daemon: socket.socket, message: Message) -> None:
        crash_point("launcher-before-fork")
        try:
            pid = os.fork()
        except OSError as error:
            failed = {"fault": "other", "message": f"fork: {error.strerror}", "errno": error.errno}
            _answer(daemon, Kind.FAILED, failed, [], message.request)
            return
        if pid == 0:
            _FORKED[message.kind](message, self.title)
        if message.kind not in _NO_MONITORS:
            self.monitors.add(pid)
        crash_point("launcher-after-fork")
        pidfd = os.pidfd_open(pid)
        _answer(daemon, Kind.FORKED, {"pid": pid}, [pidfd], message.request)
        os.close(pidfd)

    def _hand_over(self) -> bool:
        """A new daemon calls: give it the listening sockets. True when this launcher is done."""
        caller, _ = self.listener.accept()
        with caller:
            peer = caller.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
            if _CREDENTIALS.unpack(peer)[1] != os.geteuid() or self.daemon is not None:
                return False
            try:
                send(caller, Kind.HELLO, {"protocol": PROTOCOL}, self.kept)
            except OSError:
                return False
        return True


def _answer(daemon: socket.socket, kind: Kind, body: dict[str, Any], descriptors: list[int], request: int) -> None:
    """Answer the daemon. One that has died since is noticed by the loop, which goes on with what it keeps for the next."""
    try:
        send(daemon, kind, body, descriptors, request)
    except (BrokenPipeError, ConnectionResetError):
        return


def _noted(_number: int, _frame: object) -> None:
    """The wake-up descriptor has said it."""


def main() -> NoReturn:
    """Entry point. `sys.argv`: data root, exec root, whether descriptor 4 is the layer of the image `host`, the log's form.

    Descriptor 3 is the daemon.
    """
    data_root, exec_root, has_host_layer, form = sys.argv[1:5]
    lines.use(form)
    lines.speak_as("launcher")
    check_crash_points()
    prctl(Prctl.SET_DUMPABLE, 0)
    prctl(Prctl.SET_CHILD_SUBREAPER, 1)
    os.umask(0o022)
    daemon = socket.socket(fileno=DAEMON_DESCRIPTOR)
    os.set_inheritable(DAEMON_DESCRIPTOR, False)
    title = Title()
    for inherited in signal.valid_signals():
        # What the daemon's parent ignored must not be ignored in containers; glibc keeps two for itself.
        if signal.getsignal(inherited) is signal.SIG_IGN:
            signal.signal(inherited, signal.SIG_DFL)
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    listener = _listen(exec_root)
    launcher_root.enter(data_root, exec_root, HOST_LAYER_DESCRIPTOR if has_host_layer == "1" else -1)
    try:
        union.learn_overlay()
    except OSError as error:
        # A kernel without overlay: the vfs driver needs none of this.
        lines.say("warning", str(error))
    title.set("sampan-launcher")
    send(daemon, Kind.HELLO, {"protocol": PROTOCOL})
    # What is alive now stays for good: keep the collector from touching it, so that its pages stay shared with children.
    gc.collect()
    gc.freeze()
    gc.disable()
    Launcher(daemon, listener, title, exec_root).run()
    # Not the interpreter's shutdown: it would touch every page that children share.
    os._exit(0)


def _listen(exec_root: str) -> socket.socket:
    opened = os.open(exec_root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    path = f"/proc/self/fd/{opened}/{LAUNCHER_SOCKET}"
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(path)
    os.chmod(path, 0o600)
    listener.listen(1)
    os.close(opened)
    return listener
