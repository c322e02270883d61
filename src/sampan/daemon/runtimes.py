"""OCI runtimes beside Sampan's own: `runtimes` and `default-runtime`, who makes a container, and what only the own one can.

Names are Docker's: `runc` is the engine's own runtime, whichever that is, and nothing else can be called so.
"""

import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from sampan.daemon import reaper
from sampan.errors import InvalidParameter, NotImplementedHere
from sampan.runtime.request import OtherRuntime
from sampan.spec.host_config import HostConfig

if TYPE_CHECKING:
    from sampan.daemon.config import DaemonConfig

OWN = "runc"
OWN_NAMES = ("", "sampan", OWN, "io.containerd.runc.v2")
"""All of these mean Sampan's own runtime; the last is what Docker calls its own by the shim."""


class _Configured(msgspec.Struct, frozen=True, rename={"arguments": "runtimeArgs", "kind": "runtimeType"}):
    path: str = ""
    arguments: list[str] | None = None
    kind: str = ""
    options: dict[str, object] | None = None


def configured(value: object) -> dict[str, OtherRuntime]:
    """What `--add-runtime NAME=PATH` or the file's `runtimes` give. Raises InvalidParameter, mostly in dockerd's words."""
    if isinstance(value, list):
        return _from_flags([str(entry) for entry in value])
    try:
        asked = msgspec.convert(value or {}, dict[str, _Configured])
    except msgspec.ValidationError as error:
        raise InvalidParameter(f"invalid runtimes: {error}") from error
    found = {}
    for name, each in asked.items():
        if each.kind or each.options:
            raise InvalidParameter(
                f'runtimes["{name}"]: runtimeType and options are containerd\'s and not supported by Sampan: give a path'
            )
        found[name] = _runtime(name, each.path, tuple(each.arguments or ()))
    return found


def _from_flags(entries: list[str]) -> dict[str, OtherRuntime]:
    found: dict[str, OtherRuntime] = {}
    for entry in entries:
        name, equals, path = (part.strip() for part in entry.partition("="))
        if not equals or not name or not path:
            raise InvalidParameter(f"invalid runtime argument: {entry}")
        if name.lower() in found:
            raise InvalidParameter(f"runtime '{name.lower()}' was already defined")
        found[name.lower()] = _runtime(name.lower(), path, ())
    return found


def _runtime(name: str, path: str, arguments: tuple[str, ...]) -> OtherRuntime:
    if name in OWN_NAMES[1:]:
        raise InvalidParameter(f"runtime name '{name}' is reserved")
    if not name or not path:
        raise InvalidParameter(f"runtimes[{name}]: either a runtimeType or path must be configured")
    if any("\0" in text for text in (path, *arguments)):
        raise InvalidParameter(f"runtimes[{name}]: a NUL byte in its path or arguments")
    return OtherRuntime(name, path, arguments)


def default(name: str, runtimes: Mapping[str, OtherRuntime]) -> str:
    """`default-runtime`, checked. Raises InvalidParameter."""
    if name not in OWN_NAMES and name not in runtimes:
        raise InvalidParameter(f"specified default runtime '{name}' does not exist")
    return name or OWN


def own_command() -> OtherRuntime:
    """Sampan's own runtime as a command (`sampan-oci`): it makes containers that programs of the host are run for (hooks)."""
    program = "import sys; sys.path[:] = sys.argv.pop(1).split('\\n'); from sampan.oci.command import main; main()"
    words = ("-I", "-S", "-B", "-c", program, "\n".join(sys.path))
    return OtherRuntime("sampan", os.path.realpath(sys.executable), words)


def find(config: "DaemonConfig", name: str) -> OtherRuntime | None:
    """Who makes containers with this `HostConfig.Runtime`; None for Sampan's own runtime. Raises InvalidParameter.

    A name without a directory is looked for where programs of the host are.
    """
    if name in OWN_NAMES:
        return None
    found = config.runtimes.get(name)
    if found is None:
        raise InvalidParameter(f"unknown or invalid runtime name: {name}")
    if "/" in found.path:
        return found
    places = (f"{directory}/{found.path}" for directory in _DIRECTORIES)
    path = next((place for place in places if os.access(place, os.X_OK)), found.path)
    return OtherRuntime(name, path, found.arguments)


_DIRECTORIES = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")


def check(config: "DaemonConfig", host: HostConfig, *, init: bool, users: bool) -> None:
    """Refuse, by name, what only Sampan's own runtime can. Raises InvalidParameter for a runtime that is not configured.

    `init`: a reaper is to stand in front of the program; `users`: the container is to have a user namespace.
    """
    if find(config, host.runtime) is not None:
        refuse(f"the runtime {host.runtime}", rootless=config.rootless, init=init, users=users)


def refuse(who: str, *, rootless: bool, init: bool, users: bool) -> None:
    """Raises NotImplementedHere for what `who`, which another OCI runtime carries out, cannot have."""
    for wanted, what in ((rootless, "a rootless engine"), (users, "a user namespace")):
        if wanted:
            raise NotImplementedHere(f"{what} is not implemented with {who}")
    if init:
        reaper.program(who)


def shown(config: "DaemonConfig") -> str:
    """Their names and paths, as the event of a reload has them."""
    return " ".join([f"{OWN}:sampan", *(f"{each.name}:{each.path}" for each in config.runtimes.values())])
