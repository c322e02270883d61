"""What is kept of a container between calls: `<root>/<id>/state.json`, and beside it the pipe at which it waits for `start`.

    <root>/<id>/state.json   written when everything stands, replaced at once where something changes
    <root>/<id>/start        there until the container is started
    <root>/<id>/said         a pipe, too: how the hooks went that run before the program
    <root>/<id>/lock         held by whoever makes, starts or deletes the container

The state names processes by pid and start time within one boot, so that a number used again is not taken for the container.
"""

import os
import re
from pathlib import Path

import msgspec

from sampan.cgroups.ending import frozen
from sampan.errors import Conflict, InvalidParameter, NotFound, System
from sampan.files.atomic import write_atomic
from sampan.files.lock import LockFile
from sampan.files.remove import remove_tree
from sampan.oci import documents
from sampan.oci.words import SPECIFICATION
from sampan.runtime.record import boot_id, is_alive
from sampan.spec.user_maps import UserMaps

STATE, GATE, SAID, LOCK = "state.json", "start", "said", "lock"
_NAME = re.compile(r"[a-zA-Z0-9+_.-]{1,1024}")


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """state.json. `init` is pid and start time, `namespaces` what an exec has to join (kernel.namespaces.Clone)."""

    id: str
    boot: str
    init: tuple[int, int]
    bundle: str
    rootfs: str
    created: str
    groups: dict[str, str]
    namespaces: int
    users: UserMaps | None = None
    writes: tuple[tuple[str, str, str], ...] = ()
    scope: str = ""
    hooks: documents.Hooks = documents.Hooks()
    annotations: dict[str, str] = {}


class State(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """What `state` prints and hooks read (runtime-spec, runtime.md), with members of runc's that containerd reads."""

    oci_version: str = msgspec.field(name="ociVersion")
    id: str
    status: str
    bundle: str
    pid: int = 0
    rootfs: str = ""
    created: str = ""
    annotations: dict[str, str] = {}
    owner: str = ""

    def of(self, pid: int) -> "State":
        """The same when its init has been born."""
        return msgspec.structs.replace(self, pid=pid)

    def told(self, status: str) -> dict[str, object]:
        """As data, in another status."""
        return dict(msgspec.to_builtins(msgspec.structs.replace(self, status=status)))


class Container:
    """One container's directory below the runtime's root. A name is checked here and nowhere joined before."""

    def __init__(self, root: str, name: str) -> None:
        """Raises InvalidParameter for a name that is none."""
        if not _NAME.fullmatch(name) or name in (".", ".."):
            raise InvalidParameter(f"invalid container ID {name[:80]!r}")
        self.root = root
        self.name = name
        self.directory = Path(root) / name

    def make(self) -> None:
        """Its directory. Raises Conflict where there is one."""
        os.makedirs(self.root, 0o700, exist_ok=True)
        try:
            os.mkdir(self.directory, 0o711)
        except FileExistsError as error:
            raise Conflict(f"container with given ID already exists: {self.name}") from error

    def lock(self) -> LockFile:
        """Nobody else changes it meanwhile. Raises NotFound, Conflict."""
        try:
            return LockFile(self.directory / LOCK)
        except FileNotFoundError as error:
            raise self._unknown() from error

    def keep(self, kept: Kept) -> None:
        """Write the state: a reader sees the old or the new."""
        # Of this boot alone: what does not survive the machine's end need not be durable.
        write_atomic(self.directory / STATE, msgspec.json.encode(kept), durable=False)

    def load(self) -> Kept:
        """Raises NotFound; one that is half made has no state and is not there. Raises System for what is no state."""
        try:
            return msgspec.json.decode((self.directory / STATE).read_bytes(), type=Kept)
        except FileNotFoundError as error:
            raise self._unknown() from error
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise System(f"{self.directory / STATE}: {error}") from error

    def status(self, kept: Kept) -> str:
        """created, running, paused or stopped."""
        if kept.boot != boot_id() or not is_alive(*kept.init):
            return "stopped"
        if frozen(kept.groups):
            return "paused"
        return "created" if (self.directory / GATE).exists() else "running"

    def state(self, kept: Kept) -> State:
        """As it is told to others."""
        status = self.status(kept)
        return State(
            oci_version=SPECIFICATION,
            id=kept.id,
            status=status,
            bundle=kept.bundle,
            pid=0 if status == "stopped" else kept.init[0],
            rootfs=kept.rootfs,
            created=kept.created,
            annotations=kept.annotations,
        )

    def forget(self) -> None:
        """Remove the directory."""
        handle = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            remove_tree(handle, os.fsencode(self.name))
        finally:
            os.close(handle)

    def _unknown(self) -> NotFound:
        return NotFound(f"container does not exist: {self.name}")


def everyone(root: str) -> list[Container]:
    """All containers that have a state, by name."""
    try:
        names = sorted(os.listdir(root))
    except FileNotFoundError:
        return []
    found = [Container(root, name) for name in names if _NAME.fullmatch(name)]
    return [container for container in found if (container.directory / STATE).exists()]
