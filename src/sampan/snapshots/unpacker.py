"""The program that unpacks one layer, in a process and a root of its own: what it is started by is `jail.py`.

    stdin   the uncompressed tar
    3       control: SOCK_SEQPACKET, JSON; up: {"opaque"} with a directory's descriptor, answered by one byte,
            then {"done"} or {"failed"}
    4       the directory to unpack into

Whoever took this process over by an archive would find a mount namespace whose root is the layer, no capability but those
for writing files, no network, no way to start a program or to look at another process.
"""

from __future__ import annotations

import array
import io
import json
import os
import resource
import socket
import sys

from sampan.files.tar_reader import BadArchive, TarReader
from sampan.kernel.caps import Cap, capset, clear_ambient, drop_bounding, last_cap
from sampan.kernel.mount import MNT, MS, OpenTree, mount, move_mount, open_tree, pivot_root, umount2
from sampan.kernel.namespaces import Clone, unshare
from sampan.kernel.process import Prctl, close_from, prctl
from sampan.kernel.seccomp import install_filter
from sampan.snapshots.extract import Extraction
from sampan.snapshots.jail_filter import program
from sampan.snapshots.marks import AppliedMarks, OverlayMarks

_INPUT, _CONTROL, _TARGET = 0, 3, 4
_CAPS = (Cap.CHOWN, Cap.DAC_OVERRIDE, Cap.FOWNER, Cap.FSETID, Cap.MKNOD, Cap.SETFCAP)
_MEMORY = 2 << 30
_CPU_SECONDS = 3600
_BUFFER = 1 << 20
_MESSAGE = 1 << 16


def main() -> None:
    """Enter the jail, unpack, report, end. Arguments: the driver's marks ("overlay" or "applied") and the limit in bytes."""
    marks, limit = sys.argv[1], int(sys.argv[2])
    control = socket.socket(fileno=_CONTROL)
    try:
        _enter(limit)
        reply = _unpack(control, marks, limit)
    except BadArchive as error:
        reply = {"failed": "archive", "message": str(error)}
    except OSError as error:
        reply = {"failed": "host", "message": str(error), "errno": error.errno or 0}
    except BaseException as error:  # noqa: BLE001 - the end of a process: whatever went wrong is its report
        reply = {"failed": "host", "message": f"{type(error).__name__}: {error}", "errno": 0}
    control.send(json.dumps(reply).encode()[:_MESSAGE])
    os._exit(0)


def _unpack(control: socket.socket, marks: str, limit: int) -> dict[str, object]:
    whiteouts = OverlayMarks(lambda directory: _send(control, directory)) if marks == "overlay" else AppliedMarks()
    source = io.BufferedReader(io.FileIO(_INPUT, "rb", closefd=False), _BUFFER)
    extraction = Extraction(_TARGET, whiteouts, limit)
    extraction.run(TarReader(source.read))
    # The end marker need not be the end: what follows belongs to the bytes that the digest names.
    while source.read(_BUFFER):
        pass
    implied = b"\0".join(extraction.implied())
    if implied:
        descriptor = os.memfd_create("implied", os.MFD_CLOEXEC)
        with open(descriptor, "wb", closefd=False) as file:
            file.write(implied)
        _send(control, descriptor, "implied")
    return {"done": True, "size": extraction.size, "recount": extraction.recount}


def _send(control: socket.socket, descriptor: int, what: str = "opaque") -> None:
    """Hand a descriptor up, and wait until it was dealt with: so none pile up on the way."""
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))]
    control.sendmsg([json.dumps({what: True}).encode()], rights)
    if control.recv(1) != b"+":
        raise OSError(f"the mark {what!r} was refused")


def _enter(limit: int) -> None:
    """A root, a set of capabilities and limits of its own. The order matters: each step needs what a later one drops."""
    highest, refusals = last_cap(), program()
    sys.meta_path.clear()  # nothing is imported from a root that an archive fills
    os.umask(0)
    close_from(_TARGET + 1)
    # Before unshare: the descriptor's mount is one of the old namespace, and cannot be cloned from the new.
    root = open_tree(_TARGET, b"", OpenTree.CLONE | OpenTree.EMPTY_PATH)
    unshare(Clone.NEWNS | Clone.NEWNET | Clone.NEWIPC | Clone.NEWUTS)
    mount(None, b"/", None, MS.REC | MS.PRIVATE)
    over = os.open("/", os.O_PATH | os.O_DIRECTORY)
    move_mount(root, over)
    os.close(over)
    os.fchdir(root)
    try:
        # With both arguments ".", the old root lies over the new one at the same place (pivot_root(2), NOTES).
        pivot_root(b".", b".")
        umount2(b".", MNT.DETACH)
    except OSError:
        # A machine that runs from its initramfs cannot pivot. Without CAP_SYS_CHROOT and open descriptors there is no way out.
        os.chroot(b".")
    os.chdir("/")
    os.dup2(root, _TARGET, inheritable=False)
    os.close(root)
    for kind, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_AS, _MEMORY),
        (resource.RLIMIT_CPU, _CPU_SECONDS),
        (resource.RLIMIT_FSIZE, limit),
        (resource.RLIMIT_NOFILE, 1024),
    ):
        resource.setrlimit(kind, (value, value))
    mask = sum(1 << cap for cap in _CAPS)
    prctl(Prctl.SET_NO_NEW_PRIVS, 1)
    clear_ambient()
    drop_bounding(0, highest)
    capset(mask, mask, 0)
    prctl(Prctl.SET_DUMPABLE, 0)
    install_filter(refusals)
