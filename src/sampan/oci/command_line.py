"""What several commands read from their command lines in the same way, and what of the host they need."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from sampan.errors import InvalidParameter
from sampan.files.atomic import write_atomic
from sampan.host.mapped import is_mapped
from sampan.kernel.caps import capget
from sampan.oci.containers import Container
from sampan.runtime.profile_capabilities import from_mask
from sampan.runtime.seccomp_policy import kernel_version

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.cgroups.hierarchy import Hierarchy
    from sampan.oci import documents, translate
    from sampan.oci.options import Parsed

CONFIG = "config.json"
_ROOT = "/run/sampan-oci"
_MOST_PRESERVED = 100
"""A message takes some 250 descriptors, and the binds go with it."""


def root(first: Parsed) -> str:
    """Where the states are kept: of an ordinary user's in the directory that is theirs as long as they are here."""
    own = os.environ.get("XDG_RUNTIME_DIR", "")
    default = f"{own}/sampan-oci" if own.startswith("/") and is_mapped() else _ROOT
    return os.path.abspath(first.text("root", default))


def container(first: Parsed, name: str) -> Container:
    """The one that was named. Raises InvalidParameter."""
    return Container(root(first), name)


def host(hierarchy: Hierarchy) -> translate.Host:
    """What a translation depends on."""
    from sampan.oci import translate

    system = os.uname()
    held = frozenset(from_mask(capget()[1]))
    return translate.Host(system.machine, kernel_version(system.release), held, hierarchy.version("memory") == 2)


def console_socket(given: Parsed, *, terminal: bool, detached: bool) -> str:
    """Where the terminal's master goes; "" for nowhere. Raises InvalidParameter where that does not fit the process."""
    socket = given.text("console-socket")
    if socket and not terminal:
        raise InvalidParameter("cannot use console socket if the process has no terminal")
    if terminal and detached and not socket:
        raise InvalidParameter("cannot allocate tty if the runtime will detach without setting console socket")
    return socket


def tell_pid(given: Parsed, pid: int) -> None:
    """Into the file that was named for it."""
    path = given.text("pid-file")
    if path:
        # A reader never sees half a number.
        write_atomic(Path(path), str(pid).encode(), 0o644, durable=False)


def preserved(given: Parsed) -> list[int]:
    """The caller's descriptors from 3 on, which the program is to get. Raises InvalidParameter where one is not open."""
    count = given.number("preserve-fds") or 0
    if not 0 <= count <= _MOST_PRESERVED:
        raise InvalidParameter(f"--preserve-fds {count}: 0 to {_MOST_PRESERVED}")
    # Those of socket activation come first (sd_listen_fds(3)).
    listening = os.environ.get("LISTEN_FDS", "0")
    if listening.isascii() and listening.isdecimal() and len(listening) < 4:
        count += int(listening)
    found = list(range(3, 3 + count))
    for descriptor in found:
        try:
            os.fstat(descriptor)
        except OSError as error:
            raise InvalidParameter(f"--preserve-fds: descriptor {descriptor} is not open") from error
    return found


def activated(bundle: documents.Bundle) -> documents.Bundle:
    """With the variables by which a program that is PID 1 knows its listening sockets, where the caller has some."""
    listening = os.environ.get("LISTEN_FDS", "0")
    if not listening.isdecimal() or int(listening) == 0 or bundle.process is None:
        return bundle
    env = (*(bundle.process.env or ()), f"LISTEN_FDS={listening}", "LISTEN_PID=1")
    return msgspec.structs.replace(bundle, process=msgspec.structs.replace(bundle.process, env=env))
