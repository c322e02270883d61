"""Who the program is: user and groups from the container's own files, limits, capabilities, no_new_privs, the filter.

Runs in init or in an exec's process, inside the container's root. Files of the image are read as bytes, bounded, and only
if they are regular (CVE-2026-47262); a number is a number and never looked up as a name (CVE-2016-3697). Every change
of identity is read back before the program may run.

Loaded by the launcher.
"""

from __future__ import annotations

import errno
import os
import stat

from sampan.kernel.caps import Cap, capget, capset, clear_ambient, drop_bounding, raise_ambient
from sampan.kernel.files import Resolve, openat2
from sampan.kernel.process import Prctl, prctl
from sampan.kernel.seccomp import FilterFlag, install_filter
from sampan.runtime.messages import Kind, send
from sampan.runtime.steps import StepFailed
from sampan.runtime.world import Context

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_FILE_LIMIT = 10 * 1024 * 1024
_LINE_LIMIT = 64 * 1024
_ID_LIMIT = 2**31 - 1
"""Docker's own bound, half of what the kernel takes."""


def entries(root: int, path: bytes) -> Iterator[list[bytes]]:
    """The colon-separated lines of a file of the image; nothing where it is missing or no regular file."""
    try:
        descriptor = openat2(
            root, path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY, Resolve.IN_ROOT | Resolve.NO_MAGICLINKS
        )
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO, errno.EACCES):
            return
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return
    with os.fdopen(descriptor, "rb") as file:
        left = _FILE_LIMIT
        while left > 0 and (line := file.readline(_LINE_LIMIT)):
            left -= len(line)
            fields = line.rstrip(b"\n").split(b":")
            if len(fields) >= 3 and not line.startswith(b"#"):
                yield fields


def number(text: bytes) -> int | None:
    """`text` as a user or group id; None where it is a name. Raises StepFailed where it is a number out of range."""
    digits = text[1:] if text[:1] in (b"-", b"+") else text
    if not digits.isdigit():
        return None
    if digits is not text or len(text) > 10 or int(text) > _ID_LIMIT:
        raise StepFailed("bad-user", f"uids and gids must be in range 0-{_ID_LIMIT}", errno.EINVAL)
    return int(text)


class Identity:
    """A user as the container's files have it."""

    __slots__ = ("gid", "groups", "home", "uid")

    def __init__(self, uid: int, gid: int, groups: list[int], home: bytes) -> None:
        self.uid = uid
        self.gid = gid
        self.groups = groups
        self.home = home


def look_up(root: int, text: str, additional: list[str]) -> Identity:
    """`text` is Docker's USER: empty, `name`, `uid`, and either with `:group` or `:gid`. Raises StepFailed as Docker words it."""
    user, colon, group = os.fsencode(text).partition(b":")
    uid = number(user) if user else 0
    gid: int | None = None
    home = b"/"
    name = user
    for fields in entries(root, b"/etc/passwd"):
        if len(fields) < 6:
            continue
        found = _digits(fields[2])
        if found is None or (fields[0] != user if uid is None else found != uid):
            continue
        uid, gid, home, name = found, _digits(fields[3]), fields[5] or b"/", fields[0]
        break
    if uid is None:
        raise StepFailed("bad-user", f"unable to find user {os.fsdecode(user)}: no matching entries in passwd file")
    groups = _memberships(root, name) if not colon else []
    if colon and group:
        gid = _group(root, group)
    gid = gid if gid is not None else 0
    groups += [_group(root, os.fsencode(extra)) for extra in additional]
    return Identity(uid, gid, sorted({gid, *groups}), home)


def _digits(text: bytes) -> int | None:
    return int(text) if text.isdigit() and len(text) <= 10 and int(text) <= _ID_LIMIT else None


def _memberships(root: int, name: bytes) -> list[int]:
    found = []
    for fields in entries(root, b"/etc/group"):
        gid = _digits(fields[2])
        if gid is not None and len(fields) > 3 and name and name in fields[3].split(b","):
            found.append(gid)
    return found


def _group(root: int, text: bytes) -> int:
    gid = number(text)
    if gid is not None:
        return gid
    for fields in entries(root, b"/etc/group"):
        if fields[0] == text and (found := _digits(fields[2])) is not None:
            return found
    raise StepFailed("bad-user", f"unable to find group {os.fsdecode(text)}: no matching entries in group file")


def mask(names: list[str]) -> int:
    """Capability names (`CAP_CHOWN`) as a bit mask."""
    bits = 0
    for name in names:
        bits |= 1 << Cap[name.removeprefix("CAP_")]
    return bits


def become(
    context: Context,
    user: str,
    additional: list[str],
    capabilities: dict[str, list[str]],
    last: int,
    no_new_privileges: bool,
    filter_text: str,
    filter_flags: int,
) -> None:
    """User, groups, capabilities, no_new_privs and the system call filter, in the order that lets each still happen.

    `last` is the kernel's highest capability; `filter_text` the compiled filter in hexadecimal, empty for none, with its flags.
    """
    program, flags = bytes.fromhex(filter_text), FilterFlag(filter_flags)
    identity = look_up(context.root, user, additional)
    context.home = identity.home
    for descriptor in context.stdio:
        _give_stdio(descriptor, identity)
    bounding = mask(capabilities.get("bounding", []))
    inheritable = mask(capabilities.get("inheritable", []))
    ambient = mask(capabilities.get("ambient", []))
    drop_bounding(bounding, last)
    if no_new_privileges:
        prctl(Prctl.SET_NO_NEW_PRIVS, 1)
    if program and not no_new_privileges:
        # Without no_new_privs a filter needs CAP_SYS_ADMIN, so it goes in before the capabilities go.
        _install(context, program, flags)
    prctl(Prctl.SET_KEEPCAPS, 1)
    _take_on(identity)
    prctl(Prctl.SET_KEEPCAPS, 0)
    clear_ambient()
    root = identity.uid == 0
    effective = mask(capabilities.get("effective", [])) if root else ambient
    permitted = mask(capabilities.get("permitted", [])) if root else ambient | inheritable
    capset(effective, permitted, inheritable)
    if ambient:
        raise_ambient(ambient)
    _read_back(identity, (effective, permitted, inheritable))
    if program and no_new_privileges:
        _install(context, program, flags)


def _install(context: Context, program: bytes, flags: FilterFlag) -> None:
    listener = install_filter(program, flags)
    if flags & FilterFlag.NEW_LISTENER:
        assert context.channel is not None
        # At once: whatever is called next may be what the agent is asked about.
        send(context.channel, Kind.READY, {"listens": True}, [listener])
        os.close(listener)


def _take_on(identity: Identity) -> None:
    try:
        os.setgroups(identity.groups)
        os.setresgid(identity.gid, identity.gid, identity.gid)
        os.setresuid(identity.uid, identity.uid, identity.uid)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        who = f"{identity.uid} with groups {', '.join(map(str, identity.groups))}"
        message = f"unable to become user {who}: the container's user namespace has no such user or group"
        raise StepFailed("bad-user", message, errno.EINVAL) from error


def _give_stdio(descriptor: int, identity: Identity) -> None:
    """The program's own user may open /dev/stdout again: pipes and the terminal become theirs, /dev/null stays root's."""
    seen = os.fstat(descriptor)
    if stat.S_ISCHR(seen.st_mode) and seen.st_rdev == os.makedev(1, 3):
        return
    if seen.st_uid != identity.uid:
        try:
            os.fchown(descriptor, identity.uid, -1)
        except OSError as error:
            # A user that the namespace does not have: what is said of it is said where it is taken on. Or a file of one whom it
            # does not have, which stays theirs, as with runc.
            if error.errno not in (errno.EINVAL, errno.EPERM):
                raise


def _read_back(identity: Identity, sets: tuple[int, int, int]) -> None:
    if os.getresuid() != (identity.uid,) * 3 or os.getresgid() != (identity.gid,) * 3:
        raise StepFailed("other", "the user or group did not change as asked")
    if capget() != sets or sorted(os.getgroups()) != identity.groups:
        raise StepFailed("other", "capabilities or groups did not change as asked")


STEPS: dict[str, tuple[str, Callable[..., None]]] = {"become": ("shared kernel", become)}
"""Name in a plan → principle and function."""
