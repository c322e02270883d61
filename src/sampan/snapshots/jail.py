"""Starting the unpacker (`unpacker.py`) and feeding it: the daemon's side of unpacking a layer.

    stream ─▶ decompress ─▶ sha256 ─▶ pipe ─▶ unpacker (its own process, its own root)
                                              │ control: directories to be marked opaque, then the outcome
    caller  ◀──────────────────────────────────

Decompression stays here: the jail has no codec to load, and its work is done on another processor meanwhile. Of a plain tar in a
file the unpacker gets the file itself, read-only: neither waits for the other then.
"""

import array
import fcntl
import hashlib
import os
import socket
import stat
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import msgspec

import sampan
from sampan.errors import System
from sampan.files.compression import decompressed, is_compressed
from sampan.files.tar_reader import BadArchive
from sampan.kernel.mount import MountAttr, OpenTree, mount_setattr, open_tree
from sampan.snapshots.marks import set_opaque
from sampan.spec.ids import DiffId

_PACKAGES = str(Path(sampan.__file__).parents[1])
_PROGRAM = (
    "import sys; sys.path.append(sys.argv.pop(1)); sys.dont_write_bytecode = True; "
    "from sampan.snapshots.unpacker import main; main()"
)
_MESSAGE = 1 << 16
_CHUNK = 1 << 20
_PIPE = 1 << 20
_IMPLIED_LIMIT = 64 << 20


class _Report(msgspec.Struct, frozen=True):
    """What the unpacker says; one of the first four is set."""

    opaque: bool = False
    implied: bool = False
    done: bool = False
    failed: str = ""
    message: str = ""
    errno: int = 0
    size: int = 0
    recount: bool = False


@dataclass(frozen=True, slots=True)
class Unpacked:
    """One layer, unpacked. `size`: bytes of the files it brought; too much where entries were replaced (`recount`)."""

    diff_id: DiffId
    tar_size: int
    size: int
    recount: bool
    implied: tuple[bytes, ...] = ()


@dataclass(slots=True)
class _Feed:
    """The thread that decompresses, hashes and writes to the pipe; it only hashes where that is -1."""

    source: BinaryIO
    pipe: int
    digest: str = ""
    size: int = 0
    error: BaseException | None = field(default=None)

    def run(self) -> None:
        hashed = hashlib.sha256()
        reading = self.pipe >= 0
        try:
            while chunk := self.source.read(_CHUNK):
                hashed.update(chunk)
                self.size += len(chunk)
                if reading:
                    reading = self._write(chunk)
        except BaseException as error:  # noqa: BLE001 - a thread's end: the caller raises it
            self.error = error
        finally:
            if self.pipe >= 0:
                os.close(self.pipe)
        self.digest = hashed.hexdigest()

    def _write(self, chunk: bytes) -> bool:
        view = memoryview(chunk)
        try:
            while view:
                view = view[os.write(self.pipe, view) :]
        except BrokenPipeError:
            # The unpacker has given up, and says why; there is no reason to read on.
            raise _ReaderGone from None
        return True


class _ReaderGone(Exception):
    """The unpacker ended before the stream did."""


def unpack(stream: BinaryIO, target: int, marks: str, limit: int) -> Unpacked:
    """Unpack the tar in `stream` (compressed or not) into the directory descriptor `target`.

    `marks` is "overlay", "files" or "applied" (see `marks.py`). Raises BadArchive where the archive is at fault, OSError where the
    host is (disk full), System where the unpacker ended without a word. The directory is then half filled.
    """
    with ExitStack() as passed_on, ExitStack() as kept:
        read_end, write_end = _own_view(stream), -1
        if read_end < 0:
            read_end, write_end = os.pipe()
            kept.callback(os.close, write_end)
        passed_on.callback(os.close, read_end)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        kept.enter_context(ours)
        passed_on.enter_context(theirs)
        feed = _Feed(decompressed(stream), write_end)
        if write_end >= 0:
            fcntl.fcntl(write_end, fcntl.F_SETPIPE_SZ, _PIPE)
        child = _start(read_end, theirs.fileno(), target, marks, limit)
        kept.pop_all()
    thread = threading.Thread(target=feed.run, name="layer-feed", daemon=True)
    try:
        try:
            thread.start()
        except RuntimeError as error:
            # Nobody will feed the unpacker: the end of its input ends it.
            if write_end >= 0:
                os.close(write_end)
            raise System(f"the archive cannot be read: {error}") from error
        report, implied = _listen(ours)
    finally:
        ours.close()
        _, status = os.waitpid(child, 0)
        if thread.ident is not None:  # it has begun
            thread.join()
    return _outcome(feed, report, implied, status)


def _own_view(stream: BinaryIO) -> int:
    """A descriptor of the same file for the unpacker, if `stream` is a plain tar in one, else -1.

    Through a read-only mount that nobody else sees: the jail has capabilities with which it could change mode and owner of
    what it may only read. Both readers see the same bytes: a blob is never written again.
    """
    try:
        descriptor = stream.fileno()
        if stream.tell() or not stat.S_ISREG(os.fstat(descriptor).st_mode) or is_compressed(os.pread(descriptor, 6, 0)):
            return -1
        tree = open_tree(descriptor, b"", OpenTree.CLONE | OpenTree.EMPTY_PATH)
    except (AttributeError, OSError, ValueError):
        return -1  # no file, or one on a mount that cannot be copied
    try:
        mount_setattr(tree, add=MountAttr.RDONLY)
        return os.open(f"/proc/self/fd/{tree}", os.O_RDONLY)
    finally:
        os.close(tree)


def _outcome(feed: _Feed, report: _Report | None, implied: tuple[bytes, ...], status: int) -> Unpacked:
    # The feed's own fault first: the unpacker saw only that its input ended early.
    if feed.error is not None and not isinstance(feed.error, _ReaderGone):
        raise feed.error
    if report is None:
        raise System(f"the unpacker ended with status {os.waitstatus_to_exitcode(status)}")
    if report.failed == "archive":
        raise BadArchive(report.message)
    if report.failed or not report.done or feed.error is not None:
        if report.errno:
            raise OSError(report.errno, report.message)
        raise System(f"the unpacker failed: {report.message}")
    return Unpacked(DiffId(f"sha256:{feed.digest}"), feed.size, report.size, report.recount, implied)


def _start(stream: int, control: int, target: int, marks: str, limit: int) -> int:
    """Execute the unpacker; its pid. Every other descriptor of this process is close-on-exec (PEP 446)."""
    python = sys.executable
    arguments = [python, "-I", "-S", "-B", "-c", _PROGRAM, _PACKAGES, marks, str(limit)]
    copies: list[int] = []
    with ExitStack() as opened:
        for descriptor in (stream, control, target):
            # Above the numbers that are dealt out, so that no dup2 overwrites what a later one reads.
            copies.append(fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 10))
            opened.callback(os.close, copies[-1])
        actions = [
            (os.POSIX_SPAWN_DUP2, copies[0], 0),
            (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0),
            (os.POSIX_SPAWN_OPEN, 2, "/dev/null", os.O_WRONLY, 0),
            (os.POSIX_SPAWN_DUP2, copies[1], 3),
            (os.POSIX_SPAWN_DUP2, copies[2], 4),
        ]
        return os.posix_spawn(python, arguments, {}, file_actions=actions)


def _listen(control: socket.socket) -> tuple[_Report | None, tuple[bytes, ...]]:
    """Serve the unpacker until it reports its outcome, or ends (None)."""
    implied: tuple[bytes, ...] = ()
    decode = msgspec.json.Decoder(_Report).decode
    while True:
        message, descriptors = _receive(control)
        try:
            if not message:
                return None, ()
            report = decode(message)
            if report.opaque and len(descriptors) == 1:
                _answer(control, descriptors[0], _mark)
            elif report.implied and len(descriptors) == 1:
                implied = _names(descriptors[0])
                control.send(b"+")
            else:
                return report, implied
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise System(f"the unpacker spoke nonsense: {error}") from error
        finally:
            for descriptor in descriptors:
                os.close(descriptor)


def _receive(control: socket.socket) -> tuple[bytes, list[int]]:
    descriptors = array.array("i")
    message, ancillary, _, _ = control.recvmsg(_MESSAGE, socket.CMSG_SPACE(4), socket.MSG_CMSG_CLOEXEC)
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            descriptors.frombytes(data[: len(data) - len(data) % descriptors.itemsize])
    return message, list(descriptors)


def _answer(control: socket.socket, descriptor: int, act: Callable[[int], None]) -> None:
    try:
        act(descriptor)
    except OSError:
        control.send(b"-")
        raise
    control.send(b"+")


def _mark(directory: int) -> None:
    if not stat.S_ISDIR(os.fstat(directory).st_mode):
        raise System("the unpacker asked to mark what is no directory")
    set_opaque(directory)


def _names(memory: int) -> tuple[bytes, ...]:
    data = os.pread(memory, _IMPLIED_LIMIT, 0)
    return tuple(data.split(b"\0"))
