"""Security options (`--security-opt`) and resource limits (`--ulimit`) of a request, read in Docker's way and words."""

from collections.abc import Sequence
from dataclasses import dataclass

from sampan.errors import InvalidParameter, NotImplementedHere
from sampan.spec import oci_runtime as oci

RLIMITS = frozenset(
    {
        "core",
        "cpu",
        "data",
        "fsize",
        "locks",
        "memlock",
        "msgqueue",
        "nice",
        "nofile",
        "nproc",
        "rss",
        "rtprio",
        "rttime",
        "sigpending",
        "stack",
    }
)
"""The names of `--ulimit`; `RLIMIT_` and the name in upper case is what setrlimit(2) calls it."""

# What Go's strconv.ParseBool takes.
_TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_FALSE = frozenset({"0", "f", "F", "false", "FALSE", "False"})
_LABELS = frozenset({"user", "role", "type", "level", "filetype"})
UNCONFINED = "unconfined"
_LONGEST_PROFILE = 1024
_UNLIMITED = -1
_HIGHEST_RLIMIT = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class SecurityOptions:
    """What the options say. `seccomp` and `apparmor` are empty where nothing was said; None leaves the choice to the rest."""

    no_new_privileges: bool = False
    seccomp: str = ""
    apparmor: str = ""
    writable_cgroups: bool | None = None
    labels: tuple[str, ...] = ()
    hardened: bool = False
    """Sampan's own `sampan=hardened`, which the daemon turns into settings of the container"""


def parse(options: Sequence[str], *, no_new_privileges: bool = False) -> SecurityOptions:
    """The options of a create request; `no_new_privileges` is the daemon's default.

    `systempaths=unconfined` is not one of them: Docker's command turns it into empty MaskedPaths and ReadonlyPaths. Raises
    InvalidParameter in Docker's words.
    """
    seccomp = apparmor = ""
    writable_cgroups: bool | None = None
    labels: list[str] = []
    hardened = False
    for option in options:
        key, value = _split(option)
        match key:
            case "no-new-privileges":
                no_new_privileges = _switch(value, option)
            case "writable-cgroups":
                writable_cgroups = _switch(value, option)
            case "seccomp":
                seccomp = value
            case "apparmor":
                apparmor = value
            case "label":
                labels.append(_label(value))
            case "sampan":
                hardened = _of_ours(value)
            case _:
                raise InvalidParameter(f'invalid --security-opt 2: "{option}"')
    return SecurityOptions(no_new_privileges, seccomp, apparmor, writable_cgroups, tuple(labels), hardened)


def apparmor_profile(asked: str, *, on_host: bool, default: str, privileged: bool) -> str:
    """The profile that the runtime is to enter; empty for none. `on_host` says whether the kernel has AppArmor.

    A privileged container has none unless it asks for one. A profile that was asked for and is not enforced stops the container
    from being made: Docker drops it in silence on a host without AppArmor. One that is not loaded stops the start.
    """
    if asked == UNCONFINED or (not asked and privileged):
        return ""
    if not asked:
        return default if on_host else ""
    if not on_host:
        raise InvalidParameter("apparmor: config provided but apparmor not supported")
    if not asked.isprintable() or len(asked) > _LONGEST_PROFILE:
        raise InvalidParameter(f"invalid apparmor profile: {asked[:100]!r}")
    return asked


def rlimit(name: str, soft: int, hard: int) -> oci.Rlimit:
    """One limit of a request (HostConfig.Ulimits); -1 is unlimited. Raises InvalidParameter in Docker's words."""
    if name not in RLIMITS:
        raise InvalidParameter(f"invalid ulimit type: {name}")
    for value in (soft, hard):
        if not _UNLIMITED <= value <= _HIGHEST_RLIMIT:
            raise InvalidParameter(f"ulimit {name}: {value} is out of range")
    if hard != _UNLIMITED and (soft == _UNLIMITED or soft > hard):
        shown = "-1 (unlimited)" if soft == _UNLIMITED else str(soft)
        raise InvalidParameter(f"ulimit soft limit must be less than or equal to hard limit: {shown} > {hard}")
    return oci.Rlimit(type=f"RLIMIT_{name.upper()}", soft=soft, hard=hard)


def _split(option: str) -> tuple[str, str]:
    if option in ("no-new-privileges", "writable-cgroups"):
        return option, "true"
    if option == "disable":
        return "label", "disable"
    # A colon is the older separator, and part of many values (label=user:USER).
    for separator in "=:":
        key, found, value = option.partition(separator)
        if found:
            return key, value
    raise InvalidParameter(f'invalid --security-opt 1: "{option}"')


def _switch(value: str, option: str) -> bool:
    if value in _TRUE:
        return True
    if value in _FALSE:
        return False
    raise InvalidParameter(f'invalid --security-opt 2: "{option}"')


def _of_ours(value: str) -> bool:
    if value != "hardened":
        raise InvalidParameter(f'invalid --security-opt sampan={value[:100]}: "hardened" is the only value')
    return True


def _label(value: str) -> str:
    """SELinux: `disable` is what there is here; a label of one's own would have to be written to every file."""
    kind, found, _ = value.partition(":")
    if value == "disable":
        return value
    if found and kind in _LABELS:
        raise NotImplementedHere(f"security option label={value}: sampan does not write SELinux labels")
    raise InvalidParameter(
        f"Bad label option \"{value}\", valid options 'disable' or \n'user, role, level, type, filetype' "
        "followed by ':' and a value"
    )
