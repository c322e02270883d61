"""The values of ulimits, block-device limits, device rules and sysctls, checked as Docker's command checks them."""

from __future__ import annotations

from sampan.cli.values import integer, ram_bytes, unsigned64

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.client.documents import Document

_ULIMITS = frozenset(
    "core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack".split()  # noqa: SIM905
)
_SYSCTLS = frozenset(
    ("kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall", "kernel.shmmax", "kernel.shmmni",
     "kernel.shm_rmid_forced")
)  # fmt: skip


def ulimit(text: str) -> Document:
    """NAME=SOFT[:HARD] as the API's Ulimit; -1 is no limit."""
    name, equals, limits = text.partition("=")
    if not equals:
        raise ValueError(f"invalid ulimit argument: {text}")
    if name not in _ULIMITS:
        raise ValueError(f"invalid ulimit type: {name}")
    parts = limits.split(":")
    if len(parts) > 2:
        raise ValueError(f"too many limit value arguments - {limits}, can only have up to two, `soft[:hard]`")
    soft = integer(parts[0])
    hard = integer(parts[1]) if len(parts) == 2 else soft
    if hard != -1 and soft > hard:
        raise ValueError(f"ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}")
    if hard != -1 and soft == -1:
        raise ValueError(
            f"ulimit soft limit must be less than or equal to hard limit: soft: -1 (unlimited), hard: {hard}"
        )
    return {"Name": name, "Hard": hard, "Soft": soft}


def _device(text: str) -> tuple[str, str]:
    path, colon, rest = text.partition(":")
    if not colon or not path:
        raise ValueError(f"bad format: {text}")
    if not path.startswith("/dev/"):
        raise ValueError(f"bad format for device path: {text}")
    return path, rest


def weight_device(text: str) -> Document:
    """PATH:WEIGHT, the weight 0 or 10 to 1000."""
    path, rest = _device(text)
    if not rest.isascii() or not rest.isdigit() or not (rest == "0" or 10 <= int(rest) <= 1000):
        raise ValueError(f"invalid weight for device: {text}")
    return {"Path": path, "Weight": int(rest)}


def throttle_bytes(text: str) -> Document:
    """PATH:RATE in bytes a second, with a unit."""
    path, rest = _device(text)
    try:
        rate = ram_bytes(rest)
    except ValueError:
        raise ValueError(
            f"invalid rate for device: {text}. The correct format is <device-path>:<number>[<unit>]. "
            "Number must be a positive integer. Unit is optional and can be kb, mb, or gb"
        ) from None
    return {"Path": path, "Rate": rate}


def throttle_operations(text: str) -> Document:
    """PATH:RATE in operations a second."""
    path, rest = _device(text)
    try:
        rate = unsigned64(rest)
    except ValueError:
        raise ValueError(
            f"invalid rate for device: {text}. The correct format is <device-path>:<number>. "
            "Number must be a positive integer"
        ) from None
    return {"Path": path, "Rate": rate}


def device_rule(text: str) -> str:
    """TYPE MAJOR:MINOR MODE, as the devices cgroup reads it."""
    parts = text.split(" ")
    if len(parts) == 3 and parts[0] in ("a", "b", "c"):
        major, colon, minor = parts[1].partition(":")
        numbers = all(part == "*" or (part.isascii() and part.isdigit()) for part in (major, minor))
        if colon and numbers and 1 <= len(parts[2]) <= 3 and set(parts[2]) <= set("rwm"):
            return text
    raise ValueError(f"invalid device cgroup format '{text}'")


def cgroup_conf(text: str) -> str:
    """KEY=VALUE of a control file; which files there are is the daemon's to know."""
    key, equals, value = text.partition("=")
    if "." in key and equals and value:
        return text
    raise ValueError(f"bad format of a control file: {text!r} is not KEY=VALUE")


def sysctl(text: str) -> str:
    """KEY=VALUE of a parameter that belongs to a namespace."""
    key, equals, _ = text.partition("=")
    if equals and (key in _SYSCTLS or key.startswith(("net.", "fs.mqueue."))):
        return text
    raise ValueError(f"sysctl '{text}' is not allowed")
