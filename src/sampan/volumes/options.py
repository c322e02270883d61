"""The options of the driver `local` (`type`, `device`, `o`, `size`): what may be given, and the mount(2) they mean. Pure."""

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote_plus, urlsplit

from sampan.errors import InvalidParameter
from sampan.kernel.mount import MS
from sampan.spec.sizes import ram_bytes

_KNOWN = ("type", "o", "device", "size")
_NEEDS = {"device": ("type",), "type": ("device",), "o": ("device", "type")}
_WORDS: Mapping[str, tuple[bool, MS]] = {
    "ro": (True, MS.RDONLY),
    "rw": (False, MS.RDONLY),
    "nosuid": (True, MS.NOSUID),
    "suid": (False, MS.NOSUID),
    "nodev": (True, MS.NODEV),
    "dev": (False, MS.NODEV),
    "noexec": (True, MS.NOEXEC),
    "exec": (False, MS.NOEXEC),
    "sync": (True, MS.SYNCHRONOUS),
    "async": (False, MS.SYNCHRONOUS),
    "dirsync": (True, MS.DIRSYNC),
    "remount": (True, MS.REMOUNT),
    "mand": (True, MS.MANDLOCK),
    "nomand": (False, MS.MANDLOCK),
    "noatime": (True, MS.NOATIME),
    "atime": (False, MS.NOATIME),
    "nodiratime": (True, MS.NODIRATIME),
    "diratime": (False, MS.NODIRATIME),
    "bind": (True, MS.BIND),
    "rbind": (True, MS.BIND | MS.REC),
    "unbindable": (True, MS.UNBINDABLE),
    "runbindable": (True, MS.UNBINDABLE | MS.REC),
    "private": (True, MS.PRIVATE),
    "rprivate": (True, MS.PRIVATE | MS.REC),
    "shared": (True, MS.SHARED),
    "rshared": (True, MS.SHARED | MS.REC),
    "slave": (True, MS.SLAVE),
    "rslave": (True, MS.SLAVE | MS.REC),
    "relatime": (True, MS.RELATIME),
    "norelatime": (False, MS.RELATIME),
    "strictatime": (True, MS.STRICTATIME),
    "nostrictatime": (False, MS.STRICTATIME),
}
"""What mount(8) calls the flags of mount(2): whether the word sets or clears."""
_BROKEN_ESCAPE = re.compile("%(?![0-9a-fA-F]{2}).{0,2}")
_HIDDEN = "********"

Resolve = Callable[[str], str]
"""The address of a host by its name. Raises OSError."""


@dataclass(frozen=True, slots=True)
class MountWish:
    """One mount(2). `shown` is `data` as a message may show it: without the password."""

    device: str
    kind: str
    flags: MS
    data: str
    shown: str


def check(options: Mapping[str, str], quotas: bool) -> None:
    """Refuse what could never be mounted, in Docker's words; `quotas`: the file system can bound a volume's size.

    Raises InvalidParameter.
    """
    for option in options:
        if option not in _KNOWN:
            raise InvalidParameter(f'invalid option: "{option}"')
    if options.get("type") == "cifs" and options.get("device") and _port(options["device"]):
        raise InvalidParameter("port not allowed in CIFS device URL, include 'port' in 'o='")
    if size_of(options) and not quotas:
        raise InvalidParameter("quota size requested but no quota support")
    for option, others in _NEEDS.items():
        for other in others if option in options else ():
            if other not in options:
                raise InvalidParameter(f'missing required option: "{other}"')
    if any("\0" in value for value in options.values()):
        raise InvalidParameter("an option contains a NUL byte")


def size_of(options: Mapping[str, str]) -> int:
    """The bytes that `size` allows, 0 for no bound. Raises InvalidParameter."""
    try:
        return ram_bytes(options["size"]) if "size" in options else 0
    except ValueError as error:
        raise InvalidParameter(str(error)) from error


def is_mounted(options: Mapping[str, str]) -> bool:
    """Whether the volume is something else than its directory."""
    return bool(options.get("device") or options.get("type"))


def wish(options: Mapping[str, str], resolve: Resolve) -> MountWish:
    """The mount that the options mean. `resolve` is asked for the server of nfs and cifs. Raises InvalidParameter, OSError."""
    device, kind, words = options.get("device", ""), options.get("type", ""), options.get("o", "")
    if not device:
        raise InvalidParameter("missing device in volume options")
    if kind in ("nfs", "cifs"):
        device, words = _with_address(device, kind, words, resolve)
    flags, data = MS(0), []
    for word in words.split(","):
        sets, flag = _WORDS.get(word, (False, MS(0)))
        if word in _WORDS:
            flags = flags | flag if sets else flags & ~flag
        elif word != "defaults":
            data.append(word)
    text = ",".join(data)
    return MountWish(device, kind, flags, text, _without_password(text))


def _with_address(device: str, kind: str, words: str, resolve: Resolve) -> tuple[str, str]:
    """With addresses in the place of names: the kernel asks no name server."""
    name = next((word.removeprefix("addr=") for word in words.split(",") if word.startswith("addr=")), "")
    if name and not _is_address(name, 4):
        return device, words.replace(f"addr={name}", f"addr={resolve(name)}", 1)
    if name or kind != "cifs":
        return device, words
    parts = urlsplit(device)
    if parts.hostname and not _is_address(parts.hostname):
        user, at, _ = parts.netloc.rpartition("@")
        device = unquote_plus(parts._replace(netloc=f"{user}{at}{resolve(parts.hostname)}").geturl())
    return device, words


def _is_address(text: str, version: int = 0) -> bool:
    try:
        return ipaddress.ip_address(text).version in (version or 4, version or 6)
    except ValueError:
        return False


def _port(device: str) -> bool:
    """Whether the device names a port. Raises InvalidParameter in Go's words for one that is none, and for a broken escape."""
    if (broken := _BROKEN_ESCAPE.search(device)) is not None:
        raise InvalidParameter(f'error parsing mount device url: parse "{device}": invalid URL escape "{broken[0]}"')
    host, colon, port = urlsplit(device).netloc.rpartition("@")[2].rpartition(":")
    if not colon or "]" in port:
        return False
    if port and not (port.isascii() and port.isdigit()):
        why = f'parse "{device}": invalid port ":{port}" after host'
        raise InvalidParameter(f"error parsing mount device url: {why}")
    return bool(host and port)


def _without_password(data: str) -> str:
    return ",".join(f"password={_HIDDEN}" if word.startswith("password=") else word for word in data.split(","))
