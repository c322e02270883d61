"""fuse-overlayfs as the one who merges layers: the daemon's side of starting it (`server.py`), one process for each mount.

    layers, upper ─▶ server (a root, a pid namespace and few rights of its own) ─▶ exec fuse-overlayfs
                       │ control: the mount, a pidfd                                 serves it, ends with it
    caller  ◀──────────┘

It is nobody's child and holds nothing that the daemon needs: containers go on when the daemon ends. The kernel breaks the
connection when the last reference to the mount is gone (umount, the container's end, whoever is killed), and the program ends.
"""

import array
import errno
import fcntl
import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import sampan
from sampan.kernel.files import bounded_file
from sampan.kernel.mount import MountAttr, mount_setattr
from sampan.snapshots.mounting import Merging
from sampan.snapshots.whiteouts import PORTABLE
from sampan.spec.rootfs import ServedRoot

_PACKAGES = str(Path(sampan.__file__).parents[1])
_PROGRAM = (
    "import sys; sys.path.append(sys.argv.pop(1)); sys.dont_write_bytecode = True; "
    "from sampan.snapshots.server import main; main()"
)
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY
_FIRST = 4
"""The number of the first directory's descriptor in the server."""
_SECONDS = 20
"""How long the program may take until it answers the kernel; it is killed then."""
_WORDS = 4096


class Server:
    """Mounts unions of directories by the program at `program`. Any thread may call; each call takes some 30 ms."""

    def __init__(self, program: str) -> None:
        """`program` is fuse-overlayfs' absolute path."""
        self._program = program

    def mount(
        self,
        lowers: Sequence[int],
        upper: str = "",
        work: str = "",
        attributes: MountAttr = MountAttr(0),  # noqa: B008
    ) -> int:
        """See `mounting.overlay`. `upper` and `work` lie in one directory. Raises OSError, with the program's words."""
        place, name = os.path.split(upper)
        directories = list(lowers)
        opened = os.open(place, _DIRECTORY) if upper else -1
        try:
            if upper:
                assert os.path.dirname(work) == place, (upper, work)
                directories.append(opened)
            words = [self._program, str(len(lowers)), name, os.path.basename(work)]
            mount = self._started(words, directories)
        finally:
            if opened >= 0:
                os.close(opened)
        if attributes:
            mount_setattr(mount, add=attributes)
        return mount

    def _started(self, words: list[str], directories: list[int]) -> int:
        errors = bounded_file("fuse-overlayfs", _WORDS)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            try:
                child = _spawn(words, theirs.fileno(), errors, directories)
            finally:
                theirs.close()
            descriptors = _receive(ours)
            os.waitpid(child, 0)
            if len(descriptors) != 2:
                raise OSError(errno.EIO, f"fuse-overlayfs was not started: {_said(errors)}")
            mount, pidfd = descriptors
            try:
                _await_answer(mount, pidfd, errors)
            except BaseException:
                os.close(mount)
                raise
            finally:
                os.close(pidfd)
            return mount
        finally:
            ours.close()
            os.close(errors)


def merging(program: str) -> Merging:
    """The driver `fuse-overlayfs`, as Docker and containers/storage call it. `program` is its absolute path."""

    def root(lowers: tuple[str, ...], upper: str, work: str) -> ServedRoot:
        return ServedRoot(lowers, upper, work, program)

    return Merging("fuse-overlayfs", "fuse-overlayfs", "files", PORTABLE, Server(program).mount, root, lends=False)


def serve(root: ServedRoot) -> int:
    """A container's root as a detached mount, which the caller closes. One owner. Raises OSError."""
    lowers: list[int] = []
    try:
        for lower in root.lowers:
            lowers.append(os.open(lower, _DIRECTORY))  # noqa: PERF401 - what is open gets closed
        return Server(root.program).mount(lowers, root.upper, root.work)
    finally:
        for descriptor in lowers:
            os.close(descriptor)


def _spawn(words: list[str], control: int, errors: int, directories: list[int]) -> int:
    """Execute the server; its pid. Every other descriptor of this process is close-on-exec (PEP 446)."""
    python = sys.executable
    arguments = [python, "-I", "-S", "-B", "-c", _PROGRAM, _PACKAGES, *words]
    # Copies above the numbers that are dealt out, so that no dup2 overwrites what a later one reads.
    above = _FIRST + len(directories)
    given: dict[int, int] = {errors: 2, control: 3} | {one: _FIRST + number for number, one in enumerate(directories)}
    copies: list[int] = []
    nothing = [(os.POSIX_SPAWN_OPEN, number, "/dev/null", os.O_RDWR, 0) for number in (0, 1)]
    doubled = []
    try:
        for descriptor, number in given.items():
            copies.append(fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, above))
            doubled.append((os.POSIX_SPAWN_DUP2, copies[-1], number))
        return os.posix_spawn(python, arguments, {}, file_actions=[*nothing, *doubled], setsid=True)
    finally:
        for descriptor in copies:
            os.close(descriptor)


def _receive(control: socket.socket) -> list[int]:
    """The mount and the pidfd; nothing where the server ended before it had them."""
    descriptors = array.array("i")
    _, ancillary, _, _ = control.recvmsg(1, socket.CMSG_SPACE(8), socket.MSG_CMSG_CLOEXEC)
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            descriptors.frombytes(data[: len(data) - len(data) % descriptors.itemsize])
    return list(descriptors)


def _await_answer(mount: int, pidfd: int, errors: int) -> None:
    """Look into the mount: the kernel waits until the program has answered, or has ended (ENOTCONN)."""

    def kill() -> None:
        try:
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        except ProcessLookupError:
            return

    late = threading.Timer(_SECONDS, kill)
    late.start()
    try:
        os.close(os.open(b".", _DIRECTORY, dir_fd=mount))
    except OSError as error:
        raise OSError(error.errno, f"fuse-overlayfs serves no mount: {_said(errors) or error.strerror}") from error
    finally:
        late.cancel()
        late.join()


def _said(errors: int) -> str:
    return os.pread(errors, _WORDS, 0).rstrip(b"\0").decode(errors="replace").strip()
