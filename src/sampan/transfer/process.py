"""The porter's program: it enters one container's file system, gives up everything else, and carries what it was told to.

A running container's mounts are seen by joining its mount namespace and taking a private copy of what is there, so that
whatever the container mounts or moves meanwhile, this process keeps what it has. A stopped container's root comes as a
mount that nobody else has; its volumes are attached here. Nothing of the container's is executed or loaded: from
`isolate` on nothing is imported, and every path is resolved by the kernel inside the root (CVE-2018-15664, CVE-2019-14271).
"""

from __future__ import annotations

import array
import errno
import io
import json
import os
import signal
import socket
import stat
import sys

from sampan.files.paths import BadPath
from sampan.files.tar_reader import BadArchive, TarReader
from sampan.files.tar_writer import END
from sampan.files.walk import walk
from sampan.kernel.mount import AT_FDCWD, MNT, MS, MountAttr, OpenTree, mount_setattr, move_mount, open_tree, umount2
from sampan.kernel.namespaces import Clone, setns
from sampan.kernel.process import Prctl, close_all_but, prctl
from sampan.runtime.credentials import look_up
from sampan.runtime.rootfs import make_place
from sampan.runtime.steps import StepFailed
from sampan.runtime.users import root_inside
from sampan.snapshots.confinement import Means, become_root, give_up, isolate
from sampan.snapshots.difference import tar_entry
from sampan.transfer import orders
from sampan.transfer.places import Place, crosses_mount, link_target, open_directory, open_parent, stat_of
from sampan.transfer.placing import Placing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_OURS = (b"/proc", b"/sys", b"/dev")
"""Mounts of the engine's making, whose content is no file of the container's: shown as the directories beneath, as in Docker."""
_LIMIT = 1 << 50
_BUFFER = 1 << 20


class Refused(Exception):
    """The order cannot be carried out; `kind` is one of `orders`."""

    def __init__(self, kind: str, message: str = "") -> None:
        super().__init__(message)
        self.kind = kind


def main() -> None:
    """Take one order, carry it out, report, end. The argument is the daemon's pid."""
    prctl(Prctl.SET_DUMPABLE, 0)
    control = socket.socket(fileno=orders.CONTROL)
    try:
        order, descriptors = _receive(control)
        root = _enter(order, descriptors)
        _die_with(int(sys.argv[1]))
        _ACTS[order["act"]](control, root, order)
        reply: dict[str, object] = {"done": True}
    except Refused as refused:
        reply = _failed(refused.kind, str(refused))
    except (BadArchive, BadPath) as error:
        reply = _failed(orders.ARCHIVE, str(error))
    except StepFailed as error:
        reply = _failed(orders.USER, str(error))
    except FileNotFoundError as error:
        reply = _failed(orders.MISSING, str(error), error.errno or 0)
    except OSError as error:
        reply = _failed(orders.HOST, error.strerror or str(error), error.errno or 0)
    except BaseException as error:  # noqa: BLE001 - the end of a process: whatever went wrong is its report
        reply = _failed(orders.HOST, f"{type(error).__name__}: {error}")
    control.send(json.dumps(reply).encode()[: orders.MESSAGE])
    os._exit(0)


def _failed(kind: str, message: str, number: int = 0) -> dict[str, object]:
    return {"failed": kind, "message": message[:8192], "errno": number}


def _die_with(daemon: int) -> None:
    """End when the daemon does: the next one must find the container's file system free."""
    prctl(Prctl.SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != daemon:
        os._exit(1)


def _receive(control: socket.socket) -> tuple[dict[str, Any], list[int]]:
    room = socket.CMSG_SPACE(orders.MOST_DESCRIPTORS * 4)
    message, ancillary, _, _ = control.recvmsg(1, room, socket.MSG_CMSG_CLOEXEC)
    descriptors = array.array("i")
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            descriptors.frombytes(data)
    if not message or not descriptors:
        os._exit(1)  # the daemon has gone
    text, *others = list(descriptors)
    order: dict[str, Any] = json.loads(os.pread(text, orders.ORDER_LIMIT, 0))
    os.close(text)
    return order, others


def _enter(order: dict[str, Any], descriptors: list[int]) -> int:
    """The container's root becomes this process's. A descriptor of it. The order matters: each step needs what a later drops."""
    means = Means()
    _die_with(int(sys.argv[1]))
    close_all_but([orders.CONTROL, *descriptors])
    whole = order["act"] != orders.EXPORT
    if order["running"]:
        if len(descriptors) > 1:
            # The container's own user namespace: its users are who they are inside, and nothing here has rights on the host.
            setns(descriptors[1], Clone.NEWUSER)
            root_inside(None)
        setns(descriptors[0], Clone.NEWNS)
        root = open_tree(AT_FDCWD, b"/", OpenTree.CLONE | (OpenTree.RECURSIVE if whole else OpenTree(0)))
    else:
        root = descriptors[0]
    isolate()
    mount_setattr(root, propagation=MS.PRIVATE, recursive=True)
    become_root(root)
    if order["running"]:
        for place in _OURS:
            _uncover(place)
    else:
        for place, mount in zip(order["places"], descriptors[1:], strict=True):
            _attach(root, place, mount)
        if order["readonly"]:
            mount_setattr(root, add=MountAttr.RDONLY)
    top = os.open("/", os.O_PATH | os.O_DIRECTORY)
    close_all_but([orders.CONTROL, top])
    give_up(means, _LIMIT)
    return top


def _uncover(place: bytes) -> None:
    try:
        umount2(place, MNT.DETACH | MNT.UMOUNT_NOFOLLOW)
    except OSError as error:
        # Nothing is mounted there, as in an export, or where a privileged container has moved it.
        if error.errno not in (errno.EINVAL, errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            raise


def _attach(root: int, place: str, mount: int) -> None:
    target = make_place(root, place, stat.S_ISDIR(os.fstat(mount).st_mode))
    try:
        move_mount(mount, target)
    finally:
        os.close(target)


def _stat(control: socket.socket, root: int, order: dict[str, Any]) -> None:
    place = Place(os.fsencode(order["path"]))
    _tell(control, root, place, stat_of(root, place))


def _tell(control: socket.socket, root: int, place: Place, status: os.stat_result) -> None:
    target = link_target(root, place) if stat.S_ISLNK(status.st_mode) else b""
    told = {
        "name": os.fsdecode(place.base),
        "size": status.st_size,
        "mode": status.st_mode,
        "mtime_ns": status.st_mtime_ns,
        "target": os.fsdecode(target),
    }
    control.send(json.dumps({"stat": told}).encode())


def _read(control: socket.socket, root: int, order: dict[str, Any]) -> None:
    place = Place(os.fsencode(order["path"]))
    parent, name = (open_directory(root, place.path), b".") if place.directory else open_parent(root, place)
    # Told of and packed is what was opened here, whatever the name means a moment later.
    top = _opened(parent, name)
    status = os.fstat(top) if top >= 0 else os.stat(name, dir_fd=parent, follow_symlinks=False)
    _tell(control, root, place, status)
    first_names: dict[tuple[int, int], bytes] = {}
    with io.FileIO(orders.OUTPUT, "wb", closefd=False) as raw, io.BufferedWriter(raw, _BUFFER) as out:
        for piece in tar_entry(place.base, parent, name, status, first_names):
            out.write(piece)
        if top >= 0:
            _pack(out.write, top, place.base.rstrip(b"/") + b"/", first_names, across=True)
        out.write(END)


def _opened(parent: int, name: bytes) -> int:
    """The directory `name`; -1 where it is something else."""
    try:
        return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
    except OSError as error:
        if error.errno not in (errno.ENOTDIR, errno.ELOOP):
            raise
        return -1


def _export(control: socket.socket, root: int, order: dict[str, Any]) -> None:  # noqa: ARG001 - every act's
    top = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
    with io.FileIO(orders.OUTPUT, "wb", closefd=False) as raw, io.BufferedWriter(raw, _BUFFER) as out:
        _pack(out.write, top, b"", {}, across=False)
        out.write(END)


def _pack(
    write: Callable[[bytes], int], top: int, prefix: bytes, first_names: dict[tuple[int, int], bytes], across: bool
) -> None:
    for path, parent, name, status in walk(top, across):
        for piece in tar_entry(prefix + path, parent, name, status, first_names):
            write(piece)


def _hold(control: socket.socket, root: int, order: dict[str, Any]) -> None:  # noqa: ARG001 - every act's
    control.send(json.dumps({"held": True}).encode())
    control.recv(1)


def _write(control: socket.socket, root: int, order: dict[str, Any]) -> None:  # noqa: ARG001 - every act's
    place = Place(os.fsencode(order["path"]))
    _check_target(root, place)
    owner = None
    if order["user"]:
        identity = look_up(root, order["user"], [])
        owner = (identity.uid, identity.gid)
    with io.FileIO(orders.INPUT, "rb", closefd=False) as raw, io.BufferedReader(raw, _BUFFER) as source:
        Placing(root, place.path, _LIMIT, owner, order["keep_kinds"]).run(TarReader(source.read))
        # The end marker need not be the end, and who sends wants to get rid of the rest.
        while source.read(_BUFFER):
            pass


def _check_target(root: int, place: Place) -> None:
    """Refuse what is no directory, and what cannot be written to, before anything is."""
    try:
        target = open_directory(root, place.path)
    except NotADirectoryError as error:
        raise Refused(orders.NOT_A_DIRECTORY) from error
    readable = os.open(".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=target)
    flags = os.fstatvfs(readable).f_flag
    os.close(readable)
    os.close(target)
    if flags & os.ST_RDONLY:
        raise Refused(orders.READ_ONLY_MOUNT if crosses_mount(root, place.path) else orders.READ_ONLY_ROOT)


_ACTS: dict[str, Callable[[socket.socket, int, dict[str, Any]], None]] = {
    orders.STAT: _stat,
    orders.READ: _read,
    orders.WRITE: _write,
    orders.EXPORT: _export,
    orders.HOLD: _hold,
}
