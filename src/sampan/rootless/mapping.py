"""A user namespace in which an ordinary user is root and has subordinate ids: the two halves of making one.

    in a child with one thread                  in its parent, which stays outside
    unshare(NEWUSER …)  ── it stands ─────────▶ newuidmap, newgidmap (setuid programs: only they may write such a map)
    become root         ◀───────── it is mapped ──

A process without subordinate ids could map itself alone, and no image would unpack.
"""

from __future__ import annotations

import subprocess

from sampan.rootless import subordinate

PACKAGE = "uidmap"
"""The Debian package that has newuidmap and newgidmap."""
_SECONDS = 10.0
_LIMIT = 1 << 20


class CannotMap(Exception):
    """The text says why, and what to do."""


class Owner:
    """Whom a namespace is for: ids, and the maps that /etc/subuid and /etc/subgid allow."""

    __slots__ = ("gid", "gids", "name", "uid", "uids")

    def __init__(
        self, name: str, uid: int, gid: int, uids: list[subordinate.Range], gids: list[subordinate.Range]
    ) -> None:
        self.name = name
        self.uid = uid
        self.gid = gid
        self.uids = uids
        self.gids = gids


def owner(uid: int, gid: int) -> Owner:
    """This user, with subordinate ids as the files say. Name services other than files are newuidmap's to ask."""
    import pwd

    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = str(uid)
    uids = subordinate.ranges(read("/etc/subuid"), name, uid)
    gids = subordinate.ranges(read("/etc/subgid"), name, uid)
    return Owner(name, uid, gid, uids, gids)


def read(path: str) -> str:
    """A file of the machine, bounded; empty where it is missing."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(_LIMIT)
    except OSError:
        return ""


def map_ids(pid: int, whose: Owner) -> None:
    """Write the maps of a process that has just made its user namespace. Raises CannotMap."""
    maps = {"newuidmap": (whose.uid, whose.uids), "newgidmap": (whose.gid, whose.gids)}
    for program, (own, ranges) in maps.items():
        words = [program, str(pid), *subordinate.words(subordinate.id_map(own, ranges))]
        try:
            done = subprocess.run(
                words, stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS, env=ENVIRONMENT, check=False
            )
        except FileNotFoundError as error:
            raise CannotMap(f"{program} is not installed: apt install {PACKAGE}") from error
        except (OSError, subprocess.TimeoutExpired) as error:
            raise CannotMap(f"{program}: {error}") from error
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip() or f"ended with {done.returncode}"
            raise CannotMap(said if said.startswith(program) else f"{program}: {said}")


ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
"""What programs of the machine are started with."""
