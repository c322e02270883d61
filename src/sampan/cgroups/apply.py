"""What is done to a container's control groups: made, limited, entered, counted, killed, removed.

`groups` is always the plan's: controller → absolute directory of this one container. Several controllers may share a
directory (co-mounted on v1, all of them on v2). The controller "unified" stands for the v2 tree, which is there on v2 and
on hybrid hosts; v1 controllers keep their own names. Plain OSErrors are raised, with the file and the value in them.

Loaded by the launcher.
"""

from __future__ import annotations

import errno
import os

from sampan.cgroups.ending import freeze, frozen, kill, remove, thaw, wait_empty
from sampan.cgroups.groupfile import UNIFIED, field, pids, put, read, tree, unique
from sampan.kernel.bpf import attach_device_program

__all__ = (
    "create",
    "freeze",
    "frozen",
    "guard_devices",
    "kill",
    "memory_bounds",
    "offered_below",
    "oom_kills",
    "open_birthplace",
    "open_tasks",
    "prepare",
    "procs",
    "remove",
    "step_in",
    "thaw",
    "wait_empty",
    "write",
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

MARK = "trusted.sampan"
"""The extended attribute that says whose a group is."""
MADE = "made"
"""What a parent bears that was made for the first group below it, by any instance."""
_DEEPEST = 32
_TRIES = 8
_DELEGATED = ("cpu", "cpuset", "io", "memory", "pids")
"""Controllers that are switched on for the groups below ours on v2."""
_CPUSET_FILES = ("cpuset.cpus", "cpuset.mems")


def create(groups: Mapping[str, str], mark: str = "") -> None:
    """Make the directory of each hierarchy, parents included; one that is there already is taken as it is.

    With a `mark` each bears it as an extended attribute (`leftovers` looks for it), and a parent that had to be made bears
    `MADE`. Without the right to write one (a user namespace) there is none.

    A v1 cpuset starts with its parent's processors and memory nodes, because an empty one lets nothing in. On v2 the
    controllers are switched on down the path where a parent had to be made. Raises OSError; what was made until then
    stays (`remove` takes it).
    """
    for directory in unique(groups):
        made_parent = _make(directory)
        if mark:
            _mark(directory, mark)
            if made_parent:
                _mark(os.path.dirname(directory), MADE)
    if "cpuset" in groups and groups["cpuset"] != groups.get(UNIFIED):
        _inherit_cpuset(groups["cpuset"])


def prepare(groups: Mapping[str, str]) -> None:
    """Make groups that others are to stand below: a cpuset that its children inherit, on v2 all controllers switched on.

    For the instance's own, once; `create` does the same for parents that it has to make. Raises OSError.
    """
    for directory in unique(groups):
        _make_parents(directory, _DEEPEST)
        _settle(directory)


def write(groups: Mapping[str, str], writes: Iterable[Sequence[str]]) -> None:
    """Do the (controller, file, text) of a plan, in order.

    Some limits bound each other (memory and memory plus swap): one that is refused as impossible is tried once more after
    the rest. Raises OSError that names file and value; PermissionError on a device file of v1 is a lack of CAP_SYS_ADMIN.
    """
    refused = []
    for controller, name, text in writes:
        path = f"{groups[controller]}/{name}"
        try:
            put(path, text)
        except FileNotFoundError:
            if controller != UNIFIED:
                raise
            # A parent that somebody else made need not have the controllers switched on for us, and none has those
            # that are rarely asked for (hugetlb, rdma, misc).
            _enable(os.path.dirname(groups[controller]), (*_DELEGATED, name.partition(".")[0]))
            put(path, text)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EBUSY):
                raise
            refused.append((path, text))
    for path, text in refused:
        put(path, text)


def guard_devices(groups: Mapping[str, str], program: bytes) -> None:
    """Attach the device rules of cgroup v2. Raises OSError: without them the container must not start."""
    directory = os.open(groups[UNIFIED], os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        attach_device_program(directory, program)
    finally:
        os.close(directory)


def open_birthplace(groups: Mapping[str, str]) -> int:
    """The group in the v2 tree, for a child that is to be born in it (CLONE_INTO_CGROUP); -1 on a host without one."""
    if UNIFIED not in groups:
        return -1
    return os.open(groups[UNIFIED], os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def open_tasks(groups: Mapping[str, str]) -> list[int]:
    """Descriptors for `step_in`, one for each v1 hierarchy. The kernel checks the opener's rights, not the writer's."""
    directories = unique({name: directory for name, directory in groups.items() if name != UNIFIED})
    opened: list[int] = []
    try:
        opened += (os.open(f"{directory}/tasks", os.O_WRONLY | os.O_CLOEXEC) for directory in directories)
    except OSError:
        for descriptor in opened:
            os.close(descriptor)
        raise
    return opened


def step_in(tasks: Iterable[int]) -> None:
    """This process, which has one thread, goes into the group of each v1 hierarchy, and closes the descriptors.

    Whoever moves another process, or a whole process by `cgroup.procs`, makes the kernel stop all forking first, which waits
    for RCU: 7 to 20 ms on an idle machine without favordynmods. A thread that moves itself cannot run away from itself,
    and the kernel takes no lock for it (since Linux 5.5): 0.05 ms. On v2 only a
    child that is born in its group is spared the wait.
    """
    for descriptor in tasks:
        os.write(descriptor, b"0")
        os.close(descriptor)


def procs(groups: Mapping[str, str]) -> list[int]:
    """Process ids in the container's groups and all below, ascending; empty where the groups are gone.

    A process that a privileged program moved away in one hierarchy still stands in another, so all are read.
    """
    found: set[int] = set()
    for directory in unique(groups):
        for group in tree(directory):
            found.update(pids(group))
    found.discard(0)
    return sorted(found)


def oom_kills(groups: Mapping[str, str]) -> int:
    """How many processes the kernel has killed here for lack of memory. Read before the groups are removed."""
    directory = groups.get("memory")
    if directory is not None and directory != groups.get(UNIFIED):
        # The count of v1 leaves out what happened in groups below.
        return sum(field(f"{group}/memory.oom_control", "oom_kill") for group in tree(directory))
    return field(f"{groups[UNIFIED]}/memory.events", "oom_kill") if UNIFIED in groups else 0


def memory_bounds(groups: Mapping[str, str]) -> tuple[int, int]:
    """The limit of memory and the most that was used, in bytes; 0 for none, and where the kernel does not tell (v2 before 5.19)."""
    directory = groups.get("memory")
    if directory is not None and directory != groups.get(UNIFIED):
        limit = _number(f"{directory}/memory.limit_in_bytes")
        # Without a limit v1 has the largest number of whole pages.
        return limit if limit < 1 << 60 else 0, _number(f"{directory}/memory.max_usage_in_bytes")
    if UNIFIED not in groups:
        return 0, 0
    return _number(f"{groups[UNIFIED]}/memory.max"), _number(f"{groups[UNIFIED]}/memory.peak")


def _number(path: str) -> int:
    try:
        text = read(path).strip()
    except OSError:
        return 0
    return int(text) if text.isdecimal() else 0


def _make(directory: str) -> bool:
    """Whether the parent had to be made, too. Raises OSError."""
    made_parent = False
    for _ in range(_TRIES):
        try:
            os.mkdir(directory, 0o755)
        except FileExistsError:
            return made_parent
        except FileNotFoundError:
            parent = os.path.dirname(directory)
            if not os.path.isdir(parent):
                _make_parents(parent, _DEEPEST)
            made_parent = True
            # Once more: another engine's daemon may take away the parent that it finds empty.
        else:
            return made_parent
    raise OSError(errno.ENOENT, "the parent group does not stay", directory)


def _mark(directory: str, mark: str) -> None:
    try:
        os.setxattr(directory, MARK, mark.encode("ascii"))
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP):
            raise


def _make_parents(directory: str, depth: int) -> None:
    if depth == 0:
        raise OSError(errno.ENAMETOOLONG, "control group too deep", directory)
    parent = os.path.dirname(directory)
    if not os.path.isdir(parent):
        _make_parents(parent, depth - 1)
    try:
        os.mkdir(directory, 0o755)
    except FileExistsError:
        return
    _settle(directory)


def _settle(directory: str) -> None:
    if os.path.exists(f"{directory}/cpuset.cpus") and os.path.exists(f"{directory}/cgroup.clone_children"):
        _inherit_cpuset(directory)
        # Children then start with this group's processors and nodes: no copying for each container.
        put(f"{directory}/cgroup.clone_children", "1")
    elif os.path.exists(f"{directory}/cgroup.subtree_control"):
        _enable(directory)


def _inherit_cpuset(directory: str, depth: int = _DEEPEST) -> None:
    """Fill an empty v1 cpuset from its parent (and that one first)."""
    for name in _CPUSET_FILES:
        if read(f"{directory}/{name}").strip():
            continue
        parent = os.path.dirname(directory)
        value = read(f"{parent}/{name}").strip()
        if not value and depth:
            _inherit_cpuset(parent, depth - 1)
            value = read(f"{parent}/{name}").strip()
        put(f"{directory}/{name}", value)


def _enable(directory: str, wanted: Sequence[str] = _DELEGATED, depth: int = _DEEPEST) -> None:
    """Switch on, for children of `directory`, what is wanted and the tree offers (cgroup v2), from the top down.

    A controller that cannot be (processes stand in an inner group; a threaded group) is left out: the limit that needs it
    then fails with its own file's name. Above a group that was delegated to an ordinary user nothing can be written.
    """
    if not depth or not os.access(f"{directory}/cgroup.subtree_control", os.W_OK):
        return
    if not set(wanted) <= set(read(f"{directory}/cgroup.controllers").split()):
        _enable(os.path.dirname(directory), wanted, depth - 1)
    for controller in offered_below(directory, wanted):
        try:
            put(f"{directory}/cgroup.subtree_control", f"+{controller}")
        except OSError as error:
            if error.errno not in (errno.EBUSY, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOENT):
                raise


def offered_below(directory: str, wanted: Sequence[str] = _DELEGATED) -> list[str]:
    """Those of the `wanted` controllers that a v2 group has and that are not yet switched on for the groups below it."""
    offered = read(f"{directory}/cgroup.controllers").split()
    enabled = read(f"{directory}/cgroup.subtree_control").split()
    return [controller for controller in wanted if controller in offered and controller not in enabled]
