"""Whether mounts can travel between host and container: what `shared` and `slave` ask of the mount that a source lies on."""

import os
import re

from sampan.errors import System

_TABLE = "/proc/self/mountinfo"


def check(source: str, propagation: str) -> None:
    """Refuse a start whose bind would get nothing of what its mode promises. Raises System in Docker's words."""
    mode = propagation.removeprefix("r")
    if mode not in ("shared", "slave"):
        return
    place, peers = mount_of(source)
    if mode == "shared" and "shared" not in peers:
        raise System(f"path {source} is mounted on {place} but it is not a shared mount")
    if not peers & {"shared", "master"}:
        raise System(f"path {source} is mounted on {place} but it is not a shared or slave mount")


def mount_of(path: str) -> tuple[str, set[str]]:
    """Where the mount is that `path` lies on, and which of `shared` and `master` it has (proc_pid_mountinfo(5), field 7)."""
    wanted = os.path.realpath(path)
    found, peers = "/", set[str]()
    with open(_TABLE, encoding="utf-8", errors="surrogateescape") as table:
        for line in table:
            fields = line.split(" ")
            place = _unescaped(fields[4])
            # Of several at one place the last is the one that is seen.
            if len(place) >= len(found) and (wanted + "/").startswith(place.rstrip("/") + "/"):
                found, peers = place, {field.partition(":")[0] for field in fields[6 : fields.index("-")]}
    return found, peers


def _unescaped(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
