"""What of a container is not part of its checkpoint, and what takes its place at a restore. Pure, but for two readers of /proc.

criu dumps a whole mount namespace. What comes from outside it (binds, volumes, the files under /etc, control groups), the
network namespace and the ends of the program's streams are *external*: criu only notes a name for each, and at the restore
is told what stands for it.

Loaded by the checkpointer and the restorer.
"""

from __future__ import annotations

import json
import os
import stat

from sampan.kernel.files import Resolve, openat2

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

NOTES = "sampan.json"
"""In a checkpoint's directory: what a restore has to know beyond criu's images."""
NETWORK = "sampanNetwork"
CGROUP = "/sys/fs/cgroup"
_NOTES_LIMIT = 64 * 1024
_MOUNTINFO_LIMIT = 16 * 1024 * 1024
_VERSION = 1


class NotPossible(Exception):
    """This container cannot be dumped, or this checkpoint not restored; the text says why."""


def mount_points(mountinfo: str) -> dict[int, str]:
    """The place of each mount by its id, from /proc/PID/mountinfo (proc(5)); octal escapes undone."""
    found = {}
    # Not splitlines: places are whoever mounted's, and hold what that takes for line ends.
    for line in mountinfo.split("\n"):
        words = line.split(" ")
        if len(words) > 4 and words[0].isdigit():
            found[int(words[0])] = _unescaped(words[4])
    return found


def _unescaped(word: str) -> str:
    for octal, plain in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        word = word.replace(octal, plain)
    return word


def external_mounts(places: Sequence[tuple[str, str]]) -> list[str]:
    """criu's names for mounts at (place, destination): the place as the kernel has it, the destination as it was asked for."""
    return [f"mnt[{place}]:{destination}" for place, destination in places]


def restored_mounts(destinations: Sequence[str], directory: str) -> list[str]:
    """Where each of them stands for criu to take at a restore: numbered, below `directory`."""
    return [f"mnt[{destination}]:{directory}/{number}" for number, destination in enumerate(destinations)]


def stream_name(mount: int, seen: os.stat_result) -> str:
    """criu's name of one of the program's three streams: a pipe, or a file that no mount of the container's shows."""
    if stat.S_ISFIFO(seen.st_mode):
        return f"pipe:[{seen.st_ino}]"
    return f"file[{mount:x}:{seen.st_ino:x}]"


def find_streams(pid: int, mountinfo: str) -> list[str]:
    """The names of the three streams that process `pid` of a container has now, "" for one that is not from outside.

    A program may have put something else in their place: what it opened itself, by a mount of its own, is in the image.
    """
    own = mount_points(mountinfo)
    names = []
    for number in range(3):
        name = ""
        try:
            seen = os.stat(f"/proc/{pid}/fd/{number}")
            with open(f"/proc/{pid}/fdinfo/{number}") as file:
                mount = int(_facts(file.read(4096))["mnt_id"])
        except FileNotFoundError:
            # It has closed it.
            seen, mount = None, 0
        if seen is not None and (stat.S_ISFIFO(seen.st_mode) or mount not in own):
            name = stream_name(mount, seen)
        names.append(name)
    return names


def _facts(fdinfo: str) -> dict[str, str]:
    return dict(line.split(":", 1) for line in fdinfo.splitlines() if ":" in line)


def find_places(root: int, mountinfo: str, destinations: Sequence[str]) -> list[tuple[str, str]]:
    """Where in the container the mounts that were asked for stand: found through `root`, a descriptor of its root.

    Raises NotPossible where the way to one leads elsewhere by now.
    """
    points = mount_points(mountinfo)
    found: list[tuple[str, str]] = []
    for destination in destinations:
        try:
            flags = os.O_PATH | os.O_CLOEXEC
            place = openat2(root, os.fsencode(destination), flags, Resolve.IN_ROOT | Resolve.NO_MAGICLINKS)
        except OSError as error:
            raise NotPossible(f"the mount at {destination}: {error.strerror}") from error
        try:
            with open(f"/proc/self/fdinfo/{place}") as file:
                facts = _facts(file.read(4096))
        finally:
            os.close(place)
        point = points.get(int(facts["mnt_id"]), "/")
        if point == "/" or any(point == taken for taken, _ in found):
            raise NotPossible(f"the mount at {destination} is not there any more")
        found.append((point, destination))
    return found


def read_mountinfo(pid: int) -> str:
    """/proc/PID/mountinfo, bounded. Raises OSError."""
    with open(f"/proc/{pid}/mountinfo", errors="surrogateescape") as file:
        return file.read(_MOUNTINFO_LIMIT)


def notes(container: str, streams: Sequence[str]) -> bytes:
    """The notes beside a dump."""
    return json.dumps({"version": _VERSION, "container": container, "streams": list(streams)}).encode()


def read_notes(images: int) -> list[str]:
    """The names of the streams, from the notes in the directory `images`. Raises NotPossible for anything but what `notes` made."""
    try:
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        descriptor = os.open(NOTES, flags, dir_fd=images)
        try:
            regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
            body: Any = json.loads(os.pread(descriptor, _NOTES_LIMIT, 0)) if regular else None
        finally:
            os.close(descriptor)
    except (OSError, ValueError, RecursionError) as error:
        raise NotPossible(f"its {NOTES} cannot be read: {error}") from error
    streams = body.get("streams") if isinstance(body, dict) and body.get("version") == _VERSION else None
    if not isinstance(streams, list) or len(streams) != 3 or not all(isinstance(name, str) for name in streams):
        raise NotPossible(f"its {NOTES} is not one that this release wrote")
    return streams


def inherited(streams: Sequence[str], descriptors: Sequence[int]) -> list[tuple[str, int]]:
    """What takes the place of each stream: a name stands once, though the program may have it as two of its streams."""
    chosen: dict[str, int] = {}
    for name, descriptor in zip(streams, descriptors, strict=True):
        if name:
            chosen.setdefault(name, descriptor)
    return list(chosen.items())
