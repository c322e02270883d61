"""Whether mounts can travel between host and container: what `shared` and `slave` ask of the mount that a source lies on."""

import os
import re

from sampan.errors import InvalidParameter, System

_TABLE = "/proc/self/mountinfo"


def of_data(source: str, asked: str, data_root: str) -> str:
    """The mode of a bind of the data root, of something in it, or of what it is in; "" for any other.

    Without a mode of its own such a bind follows the host: what the engine unmounts must not stay mounted in a container. Raises
    InvalidParameter in Docker's words for a mode that would keep it.
    """
    if not _related(source, data_root):
        return ""
    if asked in ("", "rslave", "rshared"):
        return asked or "rslave"
    raise InvalidParameter(
        'invalid mount config: must use either propagation mode "rslave" or "rshared" when mount source is within the daemon '
        f'root, daemon root: "{data_root}", bind mount source: "{source}", propagation: "{asked}"'
    )


def _related(source: str, data_root: str) -> bool:
    inside, around = source.rstrip("/") + "/", data_root.rstrip("/") + "/"
    return inside.startswith(around) or around.startswith(inside)


def check(source: str, propagation: str, data_root: str) -> None:
    """Refuse a start whose bind would get nothing of what its mode promises. Raises System in Docker's words."""
    mode = propagation.removeprefix("r")
    if mode not in ("shared", "slave") or (mode == "slave" and _related(source, data_root)):
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
