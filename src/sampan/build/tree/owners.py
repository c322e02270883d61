"""`--chown` and the owner of WORKDIR: names looked up in the tree's own passwd and group files, by descriptor."""

import os

from sampan.errors import InvalidParameter
from sampan.runtime.credentials import entries

_ID_LIMIT = 2**31 - 1


class BadOwner(InvalidParameter):
    """The owner is no user or group; in the words of Docker."""


def owner_of(root: int, text: str, known: bool = True) -> tuple[int, int] | None:
    """User and group that `text` (`user`, `user:group`, names or numbers) means in the tree `root`; None for no text.

    A user without a group: a name has that of the passwd file, a number the same number. With `known` a name that the files do
    not have is an error; without, it is 0. Raises BadOwner, OSError.
    """
    if not text:
        return None
    user, colon, group = text.partition(":")
    uid, gid = _user(root, user, known)
    if colon:
        gid = _group(root, group, known)
    return uid, gid


def _user(root: int, text: str, known: bool) -> tuple[int, int]:
    number = _number(text)
    if number is not None:
        return number, number
    name = os.fsencode(text)
    for fields in entries(root, b"/etc/passwd"):
        if fields[0] == name and len(fields) >= 4:
            uid, gid = _digits(fields[2]), _digits(fields[3])
            if uid is not None and gid is not None:
                return uid, gid
    if known and text:
        raise BadOwner(_unknown("uid", "user", text))
    return 0, 0


def _group(root: int, text: str, known: bool) -> int:
    number = _number(text)
    if number is not None:
        return number
    name = os.fsencode(text)
    for fields in entries(root, b"/etc/group"):
        gid = _digits(fields[2])
        if fields[0] == name and gid is not None:
            return gid
    if known and text:
        raise BadOwner(_unknown("gid", "group", text))
    return 0


def _number(text: str) -> int | None:
    """`text` as a number, None where it is a name. `root` is 0 wherever there is no file that says so."""
    if text == "root":
        return 0
    digits = text[1:] if text[:1] in ("-", "+") else text
    if not (digits.isascii() and digits.isdigit()):
        return None
    if digits is not text or len(text) > 10 or int(text) > _ID_LIMIT:
        raise BadOwner(f"uids and gids must be in range 0-{_ID_LIMIT}: {text[:100]!r}")
    return int(text)


def _digits(text: bytes) -> int | None:
    return int(text) if text.isdigit() and len(text) <= 10 and int(text) <= _ID_LIMIT else None


def _unknown(what: str, kind: str, name: str) -> str:
    return (
        f"unable to convert uid/gid chown string to host mapping: can't find {what} for {kind} {name}: "
        f"no such {kind}: {name}"
    )
