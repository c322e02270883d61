"""The program that unpacks one layer, in a process and a root of its own: what it is started by is `jail.py`.

    stdin   the uncompressed tar
    3       control: SOCK_SEQPACKET, JSON; up: {"opaque"} with a directory's descriptor, answered by one byte,
            then {"done"} or {"failed"}
    4       the directory to unpack into

What it can still do is in `confinement.py`. An image of ten layers starts ten of these: `json`, `socket` and `array` would load
the half of their time (regular expressions, enumerations, abstract classes) for a few lines of text and four bytes.
"""

from __future__ import annotations

import _socket
import io
import os
import struct
import sys

from sampan.files.tar_reader import BadArchive, TarReader
from sampan.kernel.mount import OpenTree, open_tree
from sampan.kernel.process import close_from
from sampan.snapshots.confinement import Means, become_root, give_up, isolate
from sampan.snapshots.extract import Extraction
from sampan.snapshots.marks import AppliedMarks, FileMarks, OverlayMarks
from sampan.snapshots.second_hand import SecondHand

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.snapshots.extract import Whiteouts

_INPUT, _CONTROL, _TARGET = 0, 3, 4
_BUFFER = 1 << 20
_TEXT = 1 << 12
"""Characters of a report's text: with each written in ten bytes a message still holds them."""


def main() -> None:
    """Enter the jail, unpack, report, end. Arguments: the driver's marks (see `jail.unpack`) and the limit in bytes."""
    marks, limit = sys.argv[1], int(sys.argv[2])
    control = _socket.socket(fileno=_CONTROL)
    try:
        reply = _unpack(control, marks, limit, _enter(limit))
    except BadArchive as error:
        reply = {"failed": "archive", "message": str(error)}
    except OSError as error:
        reply = {"failed": "host", "message": str(error), "errno": error.errno or 0}
    except BaseException as error:  # noqa: BLE001 - the end of a process: whatever went wrong is its report
        reply = {"failed": "host", "message": f"{type(error).__name__}: {error}", "errno": 0}
    control.send(_json(reply))
    os._exit(0)


def _json(report: dict[str, object]) -> bytes:
    """Numbers, truth and text as JSON. Text is cut rather than made too long for a message."""
    members = []
    for key, value in report.items():
        if isinstance(value, str):
            plain = value[:_TEXT].encode("ascii", "backslashreplace").decode()
            shown = "".join(c if c.isprintable() and c not in '"\\' else f"\\u{ord(c):04x}" for c in plain)
            members.append(f'"{key}":"{shown}"')
        else:
            members.append(f'"{key}":{str(value).lower()}')
    return ("{" + ",".join(members) + "}").encode()


def _unpack(control: _socket.socket, marks: str, limit: int, second: SecondHand) -> dict[str, object]:
    whiteouts: Whiteouts = AppliedMarks() if marks == "applied" else FileMarks()
    if marks == "overlay":
        whiteouts = OverlayMarks(lambda directory: _send(control, directory))
    source = io.BufferedReader(io.FileIO(_INPUT, "rb", closefd=False), _BUFFER)
    extraction = Extraction(_TARGET, whiteouts, limit, second)
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


def _send(control: _socket.socket, descriptor: int, what: str = "opaque") -> None:
    """Hand a descriptor up, and wait until it was dealt with: so none pile up on the way."""
    rights = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, struct.pack("=i", descriptor))]
    control.sendmsg([_json({what: True})], rights)
    if control.recv(1) != b"+":
        raise OSError(f"the mark {what!r} was refused")


def _enter(limit: int) -> SecondHand:
    """A root, a set of capabilities and limits of its own. The order matters: each step needs what a later one drops.

    The second thread starts in between: namespaces and root are to be the same for both, and no thread can be made afterwards.
    """
    means = Means()
    close_from(_TARGET + 1)
    # Before unshare: the descriptor's mount is one of the old namespace, and cannot be cloned from the new.
    root = open_tree(_TARGET, b"", OpenTree.CLONE | OpenTree.EMPTY_PATH)
    isolate()
    become_root(root)
    os.dup2(root, _TARGET, inheritable=False)
    os.close(root)
    second = SecondHand(lambda: give_up(means, limit))
    give_up(means, limit)
    return second
