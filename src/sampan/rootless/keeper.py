"""The keeper: holds an ordinary user's world while daemons come and go, and opens sockets in the machine's network namespace.

    command ── spawns ──▶ keeper: unshare(NEWUSER, NEWNS) ── "unshared" ──▶ command: newuidmap, newgidmap
                          becomes root there, mounts      ◀── "mapped" ──
                          forks the holder, which makes the network namespace
                                                          ── "standing" ──▶ command: starts the uplink
                          forks the daemon into it        ◀── START (on its socket, from this command or a later one)

It stands in the new user and mount namespace and in the machine's network namespace. Executed with -I -S -B like the launcher, one
thread, few imports. It asks nobody's permission but the kernel's: whoever is root of its user namespace may speak to it, and that
is the user; ids of containers' other users are not (SO_PEERCRED), and no path in a container leads to its socket.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import struct
import sys

from sampan.kernel.mount import MS, mount
from sampan.kernel.namespaces import Clone, setns, unshare
from sampan.kernel.process import Prctl, Title, close_all_but, prctl
from sampan.network.attach import lo_up
from sampan.network.outside import FAMILIES, LIMIT, TYPES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

CHANNEL = 3
"""The descriptor that leads to the command which started it."""
_CREDENTIALS = struct.Struct("3i")
_BACKLOG = 64
_SECONDS = 5.0
_RESOLV_CONF = "/etc/resolv.conf"


class Keeper:
    """The loop. `network` is a descriptor of the network namespace that daemons stand in."""

    def __init__(self, listener: socket.socket, network: int) -> None:
        self._listener = listener
        self._network = network
        self._daemon = 0
        self._holders: set[int] = set()
        self._ending = False

    def run(self) -> None:
        """Serve until told to end; a daemon that runs then goes on, and so do its containers."""
        wake, waker = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        wake.setblocking(False)
        waker.setblocking(False)
        signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        while not self._ending:
            ready, _, _ = select.select([wake, self._listener], [], [])
            if wake in ready:
                wake.recv(4096)
                self._reap()
            if self._listener in ready:
                self._serve()

    def _reap(self) -> None:
        while True:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._holders.discard(pid)
            if pid == self._daemon:
                self._daemon = 0

    def _serve(self) -> None:
        try:
            caller, _ = self._listener.accept()
        except OSError:
            return
        with caller:
            peer = caller.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
            if _CREDENTIALS.unpack(peer)[1] != os.geteuid():
                return
            caller.settimeout(_SECONDS)
            try:
                answer, sockets = self._answer(json.loads(caller.recv(LIMIT)))
            except OSError as error:
                answer, sockets = {"error": error.strerror or str(error), "errno": error.errno or 0}, []
            except (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError) as error:
                answer, sockets = {"error": f"not understood: {error!r}", "errno": 22}, []
            try:
                socket.send_fds(caller, [json.dumps(answer).encode()], [sock.fileno() for sock in sockets])
            except OSError:
                pass  # it has gone
            for sock in sockets:
                sock.close()

    def _answer(self, question: dict[str, Any]) -> tuple[dict[str, Any], list[socket.socket]]:
        match question["want"]:
            case "socket":
                kind, family = TYPES[question["type"]], FAMILIES[question["family"]]
                return {}, [socket.socket(family, kind | socket.SOCK_CLOEXEC)]
            case "state":
                return {"pid": os.getpid(), "daemon": self._daemon, "network": self._network}, []
            case "daemon":
                if not self._daemon:
                    self._daemon = self._fork(question)
                return {"daemon": self._daemon}, []
            case "holder":
                holder = self._hold()
                self._holders.add(holder)
                return {"holder": holder}, []
            case "release":
                # Ours alone: any other number would be a process that is none of the keeper's affair.
                holder = int(question["holder"])
                if holder not in self._holders:
                    raise ValueError(f"{holder} is no holder")
                os.kill(holder, signal.SIGKILL)
                return {}, []
            case "end":
                self._ending = True
                return {}, []
            case other:
                raise ValueError(other)

    def _fork(self, question: dict[str, Any]) -> int:
        """The daemon: a child in the network namespace, in a session of its own."""
        words = [str(word) for word in question["words"]]
        environment = {str(name): str(value) for name, value in question["environment"].items()}
        log = os.open(question["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        pid = os.fork()
        if pid:
            os.close(log)
            return pid
        try:
            setns(self._network, Clone.NEWNET)
            os.setsid()
            os.chdir("/")
            for number in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
                signal.signal(number, signal.SIG_DFL)
            for target in (1, 2):
                os.dup2(log, target)
            close_all_but([])
            os.execve(words[0], words, environment)  # noqa: S606 - the words of the command that was asked
        except BaseException:  # noqa: BLE001 - the boundary of a process
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(1)

    def _hold(self) -> int:
        """A child that stands in the network namespace, so that /proc shows the way to it, until it is released or we end."""
        pid = os.fork()
        if pid == 0:
            try:
                prctl(Prctl.SET_PDEATHSIG, signal.SIGKILL)
                setns(self._network, Clone.NEWNET)
                signal.pause()
            finally:
                os._exit(0)
        return pid


def main() -> NoReturn:
    """Entry point. The order comes by descriptor 3: run (directory), resolv_conf (path)."""
    channel = socket.socket(fileno=CHANNEL)
    os.set_inheritable(CHANNEL, False)
    title = Title()
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    os.umask(0o022)
    try:
        order = json.loads(channel.recv(LIMIT))
        network = enter(channel, order["resolv_conf"])
        listener = _listen(order["run"])
    except OSError as error:
        _tell(channel, {"error": str(error)})
        os._exit(1)
    title.set("sampan-keeper")
    _tell(channel, {"standing": os.getpid()})
    channel.close()
    Keeper(listener, network).run()
    os._exit(0)


def enter(channel: socket.socket, resolv_conf: str) -> int:
    """Make the world and step into all of it but the network namespace, of which this is a descriptor. Raises OSError."""
    unshare(Clone.NEWUSER | Clone.NEWNS)
    _tell(channel, {"unshared": os.getpid()})
    if channel.recv(LIMIT) != b"mapped":
        raise OSError(1, "the ids were not mapped")
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)
    # A change of ids closes /proc/self to its owner: by it the uplink and later commands find the namespaces.
    prctl(Prctl.SET_DUMPABLE, 1)
    # What the machine mounts later is seen here, and nothing that is mounted here there.
    mount(None, b"/", None, MS.REC | MS.SLAVE)
    if resolv_conf:
        _cover(_RESOLV_CONF, resolv_conf)
    return _new_network()


def _cover(path: str, by: str) -> None:
    """One file in the place of another; where the place is missing, nothing reads it there."""
    place = os.path.realpath(path)
    if os.path.exists(place):
        mount(os.fsencode(by), os.fsencode(place), None, MS.BIND)


def _new_network() -> int:
    """A network namespace of this user namespace: made once ids are mapped, so that its files have an owner here."""
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        ours.close()
        try:
            unshare(Clone.NEWNET)
            lo_up()
            theirs.send(b"+")
            theirs.recv(1)
        except OSError as error:
            theirs.send(str(error).encode())
        finally:
            os._exit(0)
    theirs.close()
    said = ours.recv(LIMIT)
    try:
        if said != b"+":
            raise OSError(1, f"no network namespace: {said.decode(errors='replace') or 'its maker ended'}")
        return os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        ours.close()
        os.waitpid(pid, 0)


def _listen(run: str) -> socket.socket:
    directory = os.open(run, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    path = f"/proc/self/fd/{directory}/keeper.sock"
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
    before = os.umask(0o177)
    try:
        listener.bind(path)
    finally:
        os.umask(before)
        os.close(directory)
    listener.listen(_BACKLOG)
    listener.setblocking(False)
    return listener


def _tell(channel: socket.socket, body: dict[str, Any]) -> None:
    channel.send(json.dumps(body).encode())
