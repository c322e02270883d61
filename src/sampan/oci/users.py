"""User namespaces of bundles: their maps as data, those of one that is joined, and ones that are made to give a mount its maps."""

import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise

from sampan.errors import InvalidParameter, System
from sampan.kernel.namespaces import Clone, clone3, setns
from sampan.kernel.process import Prctl, prctl
from sampan.oci import documents
from sampan.oci.document_types import IdMapping
from sampan.runtime import users
from sampan.runtime.steps import StepFailed
from sampan.spec.user_maps import Rows, UserMaps

_MOST_ROWS = 340
"""user_namespaces(7)."""
_MAP_LIMIT = 64 * 1024


def rows(asked: Sequence[IdMapping], what: str) -> Rows:
    """Raises InvalidParameter for a map that no kernel takes."""
    if len(asked) > _MOST_ROWS:
        raise InvalidParameter(f"{what}: more than {_MOST_ROWS} rows")
    if any(row.size == 0 for row in asked):
        raise InvalidParameter(f"{what}: a row of size 0")
    for name in ("container_id", "host_id"):
        ends = sorted((getattr(row, name), getattr(row, name) + row.size) for row in asked)
        if any(first[1] > second[0] for first, second in pairwise(ends)):
            raise InvalidParameter(f"{what}: rows overlap")
    return tuple((row.container_id, row.host_id, row.size) for row in asked)


def maps(linux: documents.Linux) -> UserMaps | None:
    """Of the user namespace that the container gets for itself; None for none. Raises InvalidParameter."""
    asked = next((each for each in linux.namespaces or () if each.type == "user"), None)
    if asked is None:
        if linux.uid_mappings or linux.gid_mappings:
            raise InvalidParameter("User namespace mappings specified, but USER namespace isn't enabled in the config")
        return None
    if asked.path:
        return None
    if not linux.uid_mappings or not linux.gid_mappings:
        raise InvalidParameter("linux.uidMappings and linux.gidMappings are needed for a new user namespace")
    found = UserMaps(
        uids=rows(linux.uid_mappings, "linux.uidMappings"), gids=rows(linux.gid_mappings, "linux.gidMappings")
    )
    return _with_root(found)


def _with_root(found: UserMaps) -> UserMaps:
    try:
        _ = found.root
    except ValueError as error:
        raise InvalidParameter("user namespaces enabled, but no mapping found for id 0") from error
    return found


def joined(linux: documents.Linux) -> UserMaps | None:
    """The maps of the user namespace that the bundle names by its path, as this process sees them; None for none.

    Raises InvalidParameter, System.
    """
    asked = next((each for each in linux.namespaces or () if each.type == "user" and each.path), None)
    if asked is None:
        return None
    try:
        namespace = os.open(asked.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            with _standing(lambda: _join(namespace)) as pid:
                found = UserMaps(uids=_read(pid, "uid"), gids=_read(pid, "gid"))
        finally:
            os.close(namespace)
    except OSError as error:
        raise System(f"cannot join the user namespace {asked.path}: {error.strerror}") from error
    return _with_root(found)


def _join(namespace: int) -> tuple[int, int]:
    child, pidfd = clone3(Clone(0))
    if child == 0:
        try:
            setns(namespace, Clone.NEWUSER)
        except OSError:
            os._exit(1)
    return child, pidfd


def _read(pid: int, kind: str) -> Rows:
    with open(f"/proc/{pid}/{kind}_map", "rb") as file:
        found = [tuple(map(int, line.split())) for line in file.read(_MAP_LIMIT).splitlines()]
    return tuple((first, host, count) for first, host, count in found)


def of_mount(uids: Rows, gids: Rows) -> int:
    """A user namespace with these maps and nobody in it: a descriptor. Raises System."""
    try:
        with _standing(lambda: clone3(Clone.NEWUSER)) as pid:
            return users.establish(pid, {"uids": uids, "gids": gids})
    except StepFailed as failed:
        raise System(failed.message) from failed


@contextmanager
def _standing(begin: Callable[[], tuple[int, int]]) -> Iterator[int]:
    """A child that stands still meanwhile. `begin` forks it."""
    ready, said = os.pipe()
    child, pidfd = begin()
    if child == 0:
        try:
            prctl(Prctl.SET_PDEATHSIG, signal.SIGKILL)
            os.write(said, b"\n")
            signal.pause()
        finally:
            os._exit(1)
    os.close(said)
    try:
        if not os.read(ready, 1):
            raise PermissionError(1, "Operation not permitted")
        yield child
    finally:
        os.close(ready)
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        os.waitid(os.P_PIDFD, pidfd, os.WEXITED)
        os.close(pidfd)


def give_streams(root: tuple[int, int], streams: Iterable[int]) -> None:
    """Pipes become those of the container's root, who gives them to the program's user."""
    users.give_streams({"root": root}, list(streams))
