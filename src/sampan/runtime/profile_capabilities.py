"""Which capabilities a container has: Docker's default, what a request adds and drops, and what the host can give.

Pure: what the host has comes in as an argument (`host.capabilities`).
"""

from collections.abc import Collection, Sequence

from sampan.errors import InvalidParameter
from sampan.spec import oci_runtime as oci

DEFAULT = (
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
)
"""Docker's fourteen."""

_NUMBERED = """
    CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE
    NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN
    SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE
    MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE
"""
KNOWN = tuple(f"CAP_{name}" for name in _NUMBERED.split())
"""All capabilities of Linux 6.18; the place in the list is the number (capabilities(7))."""

ALL = "ALL"


def from_mask(mask: int) -> tuple[str, ...]:
    """The names of the bits in `mask` (`CapEff` of proc(5)), in the order of their numbers."""
    return tuple(name for number, name in enumerate(KNOWN) if mask >> number & 1)


def normalise(names: Sequence[str], available: Collection[str]) -> tuple[str, ...]:
    """`names` as `CAP_…` in upper case, `ALL` as it is.

    Raises InvalidParameter, in Docker's words, for a name that Linux does not know or the host cannot give.
    """
    found = []
    for given in names:
        name = given.upper()
        if name == ALL:
            found.append(name)
            continue
        if not name.startswith("CAP_"):
            name = "CAP_" + name
        if name not in KNOWN:
            raise InvalidParameter(f'unknown capability: "{name}"')
        if name not in available:
            raise InvalidParameter(
                f'capability not supported by your kernel or not available in the current environment: "{name}"'
            )
        found.append(name)
    return tuple(found)


def validate(add: Sequence[str], drop: Sequence[str], available: Collection[str]) -> None:
    """What a create request is checked for; InvalidParameter as Docker words it."""
    for label, names in (("CapAdd", add), ("CapDrop", drop)):
        try:
            normalise(names, available)
        except InvalidParameter as error:
            raise InvalidParameter(f"invalid {label}: {error}") from error


def granted(add: Sequence[str], drop: Sequence[str], privileged: bool, available: Sequence[str]) -> tuple[str, ...]:
    """The bounding set of a container: everything that is there for a privileged one, else the default as asked.

    With ALL added, what is dropped is taken off; with ALL dropped, only what is added is left. A capability of the default
    that the host lacks is left out, so that its lack costs only the programs that need it.
    """
    if privileged:
        return tuple(available)
    added, dropped = normalise(add, available), normalise(drop, available)
    wanted: Sequence[str]
    if ALL in added:
        wanted = [name for name in available if name not in dropped]
    elif ALL in dropped:
        wanted = [name for name in added if name != ALL]
    else:
        wanted = [*(name for name in DEFAULT if name not in dropped and name in available), *added]
    return tuple(dict.fromkeys(wanted))


def as_sets(names: tuple[str, ...]) -> oci.Capabilities:
    """The five sets of a process with `names`: inheritable and ambient stay empty (CVE-2022-24769)."""
    return oci.Capabilities(bounding=names, effective=names, permitted=names)
