"""Which devices a container may use, and which it is given: rules of the device controller, nodes from the host's /dev.

The default nodes (null, zero, full, random, urandom, tty) are made by the runtime in every /dev.
"""

import itertools
import os
import re
import stat
from collections.abc import Iterator, Sequence

from sampan.errors import InvalidParameter
from sampan.spec import oci_runtime as oci


def _character(allow: bool, major: int, minor: int | None, access: str = "rwm") -> oci.DeviceRule:
    return oci.DeviceRule(allow=allow, type="c", major=major, minor=minor, access=access)


DENY_ALL = oci.DeviceRule(allow=False)
ALLOW_ALL = oci.DeviceRule(allow=True)
"""The only rule of a privileged container."""

DEFAULT_RULES = (
    DENY_ALL,
    # Any node may be made (mknod): using it is another matter.
    oci.DeviceRule(allow=True, type="c", access="m"),
    oci.DeviceRule(allow=True, type="b", access="m"),
    _character(True, 1, 3),  # null
    _character(True, 1, 5),  # zero
    _character(True, 1, 7),  # full
    _character(True, 1, 8),  # random
    _character(True, 1, 9),  # urandom
    _character(True, 5, 0),  # tty
    _character(True, 5, 1),  # console
    _character(True, 5, 2),  # ptmx
    _character(True, 136, None),  # pseudo-terminals
    _character(True, 10, 200),  # tun
)
"""What Docker and runc allow together."""

_RULE = re.compile(r"([acb]) ([0-9]+|\*):([0-9]+|\*) ([rwm]{1,3})")
_ACCESS = re.compile(r"[rwm]{1,3}")
_HIGHEST_MAJOR, _HIGHEST_MINOR = (1 << 12) - 1, (1 << 20) - 1
_OTHER_FILE_SYSTEMS = frozenset({"pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts", ".udev"})
_MOST_NODES = 4096
_MOST_LOOKED_AT = 65_536
"""Files of all kinds: a directory of devices has hundreds, and whoever names / would have the whole machine walked."""


def parse_rule(text: str) -> oci.DeviceRule:
    """`--device-cgroup-rule`, such as `c 10:229 rwm`. Raises InvalidParameter in Docker's words."""
    match = _RULE.fullmatch(text)
    if match is None:
        raise InvalidParameter(f"invalid device cgroup rule format: '{text}'")
    kind, major, minor, access = match.groups()
    return oci.DeviceRule(
        allow=True,
        type=kind,
        major=_number(major, _HIGHEST_MAJOR, "major", text),
        minor=_number(minor, _HIGHEST_MINOR, "minor", text),
        access=access,
    )


def from_path(
    on_host: str, in_container: str, access: str
) -> tuple[tuple[oci.Device, ...], tuple[oci.DeviceRule, ...]]:
    """`--device`: the nodes and rules for a device of the host, or for all in a directory of them.

    A last link is followed, as in Docker. Raises InvalidParameter for what is no device, and for bad permissions.
    """
    access = access or "rwm"
    if not _ACCESS.fullmatch(access):
        raise InvalidParameter(f"invalid device mode: {access}")
    complaint = f'error gathering device information while adding custom device "{on_host}": '
    resolved = os.path.realpath(on_host) if os.path.islink(on_host) else on_host
    try:
        found = os.lstat(resolved)
    except (OSError, ValueError) as error:
        text = error.strerror.lower() if isinstance(error, OSError) and error.strerror else str(error)
        raise InvalidParameter(f"{complaint}{text}") from error
    if stat.S_ISDIR(found.st_mode):
        try:
            devices = tuple(
                _node(in_container + path[len(resolved) :], status) for path, status in _walk(resolved, frozenset())
            )
        except OSError as error:
            raise InvalidParameter(f"{complaint}{str(error.strerror).lower()}: {error.filename}") from error
    else:
        devices = (_node(in_container, found),) if _kind(found) else ()
    if not devices:
        raise InvalidParameter(f"{complaint}not a device node")
    return devices, tuple(
        oci.DeviceRule(allow=True, type=device.type, major=device.major, minor=device.minor, access=access)
        for device in devices
    )


def all_of_host() -> tuple[oci.Device, ...]:
    """Every device node below the host's /dev, for a privileged container; not its terminals and not its console."""
    return tuple(
        _node(path, status)
        for path, status in _walk("/dev", _OTHER_FILE_SYSTEMS)
        if not stat.S_ISFIFO(status.st_mode) and os.path.basename(path) != "console"
    )


def _walk(directory: str, skipped: frozenset[str]) -> Iterator[tuple[str, os.stat_result]]:
    waiting, count, looked_at = [directory], 0, 0
    while waiting:
        try:
            with os.scandir(waiting.pop()) as listed:
                entries = sorted(itertools.islice(listed, _MOST_LOOKED_AT + 1), key=lambda entry: entry.name)
        except FileNotFoundError:
            continue
        looked_at += len(entries)
        if looked_at > _MOST_LOOKED_AT:
            raise InvalidParameter(f"more than {_MOST_LOOKED_AT} files below {directory}")
        for entry in entries:
            try:
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            if stat.S_ISDIR(status.st_mode):
                if entry.name not in skipped:
                    waiting.append(entry.path)
            elif _kind(status):
                count += 1
                if count > _MOST_NODES:
                    raise InvalidParameter(f"more than {_MOST_NODES} devices below {directory}")
                yield entry.path, status


def _kind(status: os.stat_result) -> str:
    for test, kind in ((stat.S_ISCHR, "c"), (stat.S_ISBLK, "b"), (stat.S_ISFIFO, "p")):
        if test(status.st_mode):
            return kind
    return ""


def _node(path: str, status: os.stat_result) -> oci.Device:
    return oci.Device(
        path=path,
        type=_kind(status),
        major=os.major(status.st_rdev),
        minor=os.minor(status.st_rdev),
        file_mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
    )


def _number(text: str, highest: int, which: str, rule: str) -> int | None:
    if text == "*":
        return None
    number = int(text) if len(text) <= 10 else highest + 1
    if number > highest:
        raise InvalidParameter(f"invalid {which} value in device cgroup rule format: '{rule}'")
    return number


def rules(privileged: bool, extra: Sequence[oci.DeviceRule]) -> tuple[oci.DeviceRule, ...]:
    """The rules of a container, `extra` being those of its devices and of its request."""
    return (ALLOW_ALL,) if privileged else (*DEFAULT_RULES, *extra)


def numbers(path: str) -> tuple[int, int]:
    """Major and minor number of the device at `path`, links followed. Raises InvalidParameter in Go's words."""
    try:
        device = os.stat(path).st_rdev
    except (OSError, ValueError) as error:
        text = error.strerror.lower() if isinstance(error, OSError) and error.strerror else "invalid argument"
        raise InvalidParameter(f"stat {path}: {text}") from error
    return os.major(device), os.minor(device)
