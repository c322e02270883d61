"""Whose subordinate users containers get: `userns-remap` and `userns-pool`, by /etc/passwd, /etc/subuid and /etc/subgid.

Messages are dockerd's where it has them. Read when the daemon starts, or when a range is wanted; the files may change at any time.
"""

import grp
import logging
import pwd
from collections.abc import Sequence
from pathlib import Path

from sampan.daemon.user_ranges import Range
from sampan.errors import InvalidParameter
from sampan.spec.user_maps import Rows, UserMaps

_log = logging.getLogger("sampan.daemon")
_DEFAULT_USER = "dockremap"
_FILES = {"uid": Path("/etc/subuid"), "gid": Path("/etc/subgid")}
_LIMIT = 1 << 20
_IDS = 2**32 - 1
_FIRST, _COUNT = 100_000, 65_536
"""Where a new range is looked for, and its length (login.defs(5), SUB_UID_MIN, SUB_UID_COUNT)."""


def remapped(setting: str) -> UserMaps | None:
    """What `userns-remap` means: the maps of every container that does not say otherwise. Raises InvalidParameter, System.

    `default` is the user dockremap, which is made where it is missing, with ranges; else `user`, `uid`, `user:group` or `uid:gid`.
    """
    if not setting:
        return None
    user, colon, group = setting.partition(":")
    if ":" in group:
        raise InvalidParameter(f'Invalid user/group specification in --userns-remap: "{setting}"')
    name, uid = _user(user)
    _check_group(group if colon else "", name, uid, numeric=user.isdecimal())
    if name == "root":
        _log.warning("user namespaces: root cannot be remapped with itself; user namespaces are off")
        return None
    return UserMaps(_rows(ranges("uid", name, uid)), _rows(ranges("gid", name, uid)))


def _user(text: str) -> tuple[str, int]:
    if text.isdecimal():
        try:
            return pwd.getpwuid(int(text)).pw_name, int(text)
        except (KeyError, OverflowError) as error:
            raise InvalidParameter(f"Uid {text} has no entry in /etc/passwd: {error}") from error
    name = _DEFAULT_USER if text == "default" else text
    try:
        return name, pwd.getpwnam(name).pw_uid
    except KeyError as error:
        if text != "default":
            raise InvalidParameter(f'Error during uid lookup for "{name}": no such user') from error
    from sampan.daemon.remap_user import make_user

    first = _next_free()
    make_user(name, ranges=(first, first + _COUNT - 1))
    return name, pwd.getpwnam(name).pw_uid


def _check_group(group: str, name: str, uid: int, *, numeric: bool) -> None:
    """The group has to exist, as in Docker; ranges go by the user."""
    try:
        if group.isdecimal() or (not group and numeric):
            grp.getgrgid(int(group or uid))
        else:
            grp.getgrnam(group or name)
    except (KeyError, OverflowError) as error:
        if group.isdecimal() or (not group and numeric):
            # dockerd's words, the wrong file's name included.
            file = "/etc/passwd" if group else "/etc/group"
            raise InvalidParameter(f"Gid {group or uid} has no entry in {file}: no such group") from error
        kind = "groupname" if group else "gid"
        raise InvalidParameter(f'Error during {kind} lookup for "{group or name}": no such group') from error


def _next_free() -> int:
    """Behind every range that is in either file."""
    ends = [_FIRST]
    for kind in _FILES:
        ends += [first + count for _, first, count in parse(_read(kind))]
    return max(ends)


def _read(kind: str) -> str:
    try:
        with _FILES[kind].open(encoding="utf-8", errors="surrogateescape") as file:
            return file.read(_LIMIT)
    except FileNotFoundError:
        return ""


def parse(text: str) -> list[tuple[str, int, int]]:
    """Lines `owner:first:count` of subuid(5); those that are none are passed over, as by everybody who reads the file."""
    found = []
    for line in text.splitlines():
        owner, _, rest = line.strip().partition(":")
        first, colon, count = rest.partition(":")
        if colon and owner and not owner.startswith("#") and _is_id(first) and _is_id(count) and int(count):
            found.append((owner, int(first), int(count)))
    return found


def _is_id(text: str) -> bool:
    # The length first: Python refuses to read thousands of digits.
    return text.isdecimal() and len(text) <= len(str(_IDS)) and int(text) <= _IDS


def _entries(kind: str, name: str, uid: int) -> list[Range]:
    owners = (name, str(uid))
    return sorted({(first, count) for owner, first, count in parse(_read(kind)) if owner in owners})


def ranges(kind: str, name: str, uid: int) -> list[Range]:
    """A user's subordinate ranges, `kind` uid or gid, from the lowest up. Raises InvalidParameter where it has none."""
    found = _entries(kind, name, uid)
    if not found:
        raise InvalidParameter(
            f'no sub{kind} ranges found for user "{name}" in {_FILES[kind]}: add a line such as {name}:{_next_free()}:{_COUNT}'
        )
    return found


def _rows(found: Sequence[Range]) -> Rows:
    rows = []
    inside = 0
    for first, count in found:
        rows.append((inside, first, count))
        inside += count
    return tuple(rows)


def pool(setting: str, kind: str) -> list[Range]:
    """The ranges that `auto` takes from. `setting` is `userns-pool`: a user's name, or FIRST:COUNT. Raises InvalidParameter."""
    first, colon, count = setting.partition(":")
    if colon:
        return [(int(first), int(count))]
    try:
        uid = pwd.getpwnam(setting).pw_uid
    except KeyError:
        # Podman's user `containers` need not exist: it is a name for ranges.
        uid = -1
    found = _entries(kind, setting, uid)
    if not found:
        raise InvalidParameter(
            f'no sub{kind} ranges found for user "{setting}" in {_FILES[kind]}, from which containers with user namespaces of '
            f"their own get theirs: add the line {setting}:2147483647:2147483648 to /etc/subuid and /etc/subgid, or set userns-pool"
        )
    return found
