"""Finds an engine's processes without asking it: by the unix sockets they hold below its directory, and by their titles."""

import contextlib
import os
import socket
import struct
from dataclasses import dataclass
from pathlib import Path

_SOCK_DIAG, _BY_FAMILY, _DUMP, _ALL, _SHOW_VFS = 4, 20, 0x301, 0xFFFFFFFF, 2


@dataclass(frozen=True)
class Process:
    """A process and what `ps` shows of it."""

    pid: int
    title: str


def holding_sockets_below(directory: str) -> list[Process]:
    """Processes that hold a unix socket bound below `directory`: daemon, launcher, monitors."""
    inodes = {f"socket:[{inode}]" for inode in _bound_below(directory)}
    return [Process(pid, title(pid)) for pid in pids() if not inodes.isdisjoint(descriptors(pid).values())]


def launchers(directory: str) -> list[Process]:
    """The launcher of the engine whose exec-root lies below `directory`."""
    return [one for one in holding_sockets_below(directory) if one.title.startswith("sampan-launcher")]


def monitors(directory: str) -> list[Process]:
    """Monitors of running containers, parked slots left out."""
    found = [one for one in holding_sockets_below(directory) if one.title.startswith("sampan-monitor")]
    return [one for one in found if "parked" not in one.title]


def pids() -> list[int]:
    """Every process there is now."""
    return [int(name) for name in os.listdir("/proc") if name.isdecimal()]


def title(pid: int) -> str:
    """The command line, blanks between words; empty where the process is gone or a zombie."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def children(pid: int) -> list[int]:
    """Of a process, by whichever of its threads; zombies are among them."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):  # the thread has ended since
            found += map(int, (task / "children").read_text().split())
    return found


def descriptors(pid: int) -> dict[int, str]:
    """What a process has open: number → what /proc shows of it. None where it has ended."""
    found = {}
    with contextlib.suppress(OSError):  # it has ended since
        for name in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(FileNotFoundError):  # closed since
                found[int(name)] = os.readlink(f"/proc/{pid}/fd/{name}")
    return found


def _bound_below(directory: str) -> set[int]:
    """Inodes of unix sockets whose file lies below `directory`. By sock_diag(7): /proc/net/unix shows the path that was given
    to bind, and sampan binds by way of a descriptor."""
    files = set()
    for parent, _, names in os.walk(directory):
        for name in names:
            if name.endswith(".sock"):
                with contextlib.suppress(FileNotFoundError):
                    files.add(os.lstat(f"{parent}/{name}").st_ino & 0xFFFFFFFF)
    request = struct.pack(
        "=IHHII BBHIIIII", 40, _BY_FAMILY, _DUMP, 1, 0, socket.AF_UNIX, 0, 0, _ALL, 0, _SHOW_VFS, 0, 0
    )
    found: set[int] = set()
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _SOCK_DIAG) as diag:
        diag.sendto(request, (0, 0))
        while True:
            packet = diag.recv(1 << 18)
            while packet:
                length, kind = struct.unpack_from("=IH", packet)
                if kind != _BY_FAMILY:
                    return found
                (inode,) = struct.unpack_from("=I", packet, 20)
                # The only attribute that was asked for: inode and device of the file.
                if length >= 44 and struct.unpack_from("=I", packet, 36)[0] in files:
                    found.add(inode)
                packet = packet[length:]
