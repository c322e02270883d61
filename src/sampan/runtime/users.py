"""The user namespace of a container: the maps, root inside, and what only the host's root can make for it.

    builder (the host's root)                  init
      │ clone3(NEWUSER and the others) ───────▶│ a keyring, while it counts against the host's root
      │ uid_map, gid_map                       │ waits
      │ /dev with its nodes                    │
      │ ── USERS + /dev ──────────────────────▶│ becomes root inside, and makes its world
      │ maps on layers, volumes, /etc's files  │

All namespaces come with one clone3, so the others belong to this one: its root may set up their interfaces and mounts, and has
no right on anything that is the host's.

Loaded by the launcher.
"""

from __future__ import annotations

import errno
import os
import signal
import stat

from sampan.host.mapped import is_mapped
from sampan.kernel.caps import capget, capset
from sampan.kernel.mount import MountAttr, mount_setattr
from sampan.kernel.namespaces import Clone
from sampan.kernel.process import Prctl, prctl, prlimit, set_file_ids
from sampan.runtime.messages import Kind, receive
from sampan.runtime.steps import StepFailed
from sampan.runtime.world import Context, borrow_node, make_dev

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def establish(pid: int, users: dict[str, Any]) -> int:
    """Write the maps of a new process's user namespace. A descriptor of that, for mounts that are to have its maps."""
    for name in ("uid", "gid"):
        rows = "".join(f"{first} {host} {count}\n" for first, host, count in users[name + "s"])
        # In one write, and once only (user_namespaces(7)).
        descriptor = os.open(f"/proc/{pid}/{name}_map", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, rows.encode())
        except OSError as error:
            text = f"the kernel does not take the map of {name}s {rows.strip()!r}: {error.strerror}"
            raise StepFailed("other", text, error.errno or 0) from error
        finally:
            os.close(descriptor)
    return os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)


def joined(body: dict[str, Any], descriptors: list[int]) -> int:
    """A descriptor of the user namespace that is joined, one more; -1 where none is."""
    first = int(body["binds"])
    for descriptor, flag in zip(descriptors[first:], body["joins"], strict=False):
        if flag & Clone.NEWUSER:
            return os.dup(descriptor)
    return -1


def devices(users: dict[str, Any]) -> list[int]:
    """/dev, made where device nodes can be made: inside they cannot, and would not work on a mount of its own.

    Where this root may make none either (an ordinary user's) the machine's own are shown; then the null device comes beside.
    """
    if users["dev"] is None:
        return []
    options, nodes = users["dev"]
    if not is_mapped():
        return [acting_as(users["root"], lambda: make_dev(options, nodes))]
    context = Context()

    def show_nodes() -> int:
        mount = context.mounts["/dev"] = make_dev(options, [])
        for node in nodes:
            borrow_node(context, str(node[0]))
        return mount

    acting_as(users["root"], show_nodes)
    if context.deferred:
        raise StepFailed(
            "other", "a user namespace in another one needs Linux 6.15, for its device nodes", errno.ENOSYS
        )
    return [context.mounts["/dev"], context.mounts["/dev/null"]]


def map_binds(users: dict[str, Any], namespace: int, binds: list[int]) -> None:
    """Those binds that are to have the container's maps get them: what is root's on the disk is root's inside."""
    for number, recursive, must in users["mapped"]:
        map_mount(binds[number], namespace, recursive, must)


def map_mount(mount: int, namespace: int, recursive: bool = False, must: bool = True) -> None:
    """A detached mount gets the maps of a user namespace. Raises StepFailed where it `must` and its file system cannot."""
    try:
        mount_setattr(mount, add=MountAttr.IDMAP, recursive=recursive, users=namespace)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        if not must:
            return
        place = os.readlink(f"/proc/self/fd/{mount}")
        raise StepFailed(
            "bad-mount",
            f"a mount for a user namespace cannot be given its users: the file system of {place!r}, or of a mount below it, does "
            "not support idmapped mounts (ext4, xfs, btrfs and, from Linux 6.3 on, tmpfs do; overlay and NFS do not)",
            errno.EINVAL,
        ) from error


def acting_as(root: list[int], make: Callable[[], int]) -> int:
    """What `make` gives when it is called as a container's root to file systems, with all the rights of this process."""
    rights, parent = capget(), os.getppid()
    try:
        set_file_ids(*root)
        capset(*rights)
        return make()
    finally:
        set_file_ids(0, 0)
        capset(*rights)
        _as_before(parent)


def _as_before(parent: int) -> None:
    """A change of user undoes both (prctl(2)), and the parent may have ended meanwhile."""
    prctl(Prctl.SET_DUMPABLE, 0)
    prctl(Prctl.SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def give_streams(users: dict[str, Any], stdio: list[int]) -> None:
    """Pipes become those of root inside, which cannot take over what is not mapped; it gives them to the program's user."""
    for descriptor in stdio:
        if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            os.fchown(descriptor, *users["root"])


def limit(users: dict[str, Any], pid: int) -> None:
    """Resource limits, by who may raise them."""
    for number, soft, hard in users["limits"]:
        try:
            prlimit(number, soft, hard, pid)
        except PermissionError as error:
            text = f"error setting rlimit type {number}: operation not permitted: {soft}:{hard} needs CAP_SYS_RESOURCE"
            raise StepFailed("other", text, errno.EPERM) from error


def user_namespace(context: Context, uids: list[list[int]], gids: list[list[int]], dev: list[Any] | None) -> None:  # noqa: ARG001 - shown to who asks for the steps
    """Wait until the maps stand, and become root inside."""
    assert context.channel is not None
    message = receive(context.channel)
    if message is None or message.kind is not Kind.USERS:
        raise StepFailed("other", "the builder ended before the user namespace stood")
    context.mounts.update(zip(("/dev", "/dev/null"), message.descriptors, strict=False))
    root_inside(context)


def root_inside(_context: Context | None) -> None:
    """User and group 0 of the namespace that this process is in."""
    parent = os.getppid()
    os.setgroups([])
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)
    _as_before(parent)


STEPS: dict[str, tuple[str, Callable[..., None]]] = {
    "user_namespace": ("isolation", user_namespace),
    "root_inside": ("isolation", root_inside),
}
"""Name in a plan → principle and function."""
