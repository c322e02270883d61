"""Where a bundle's control groups are: `linux.cgroupsPath` as a directory, or with --systemd-cgroup as slice:prefix:name."""

from sampan.cgroups import plan as groups
from sampan.cgroups import scope_plan
from sampan.cgroups.hierarchy import Hierarchy, Mode
from sampan.cgroups.plan import CgroupPlan
from sampan.errors import InvalidParameter, System
from sampan.spec import oci_runtime as oci


def plan(hierarchy: Hierarchy, name: str, path: str, resources: oci.Resources, *, systemd: bool) -> CgroupPlan:
    """The groups of the container `name`, which has asked for `path` ("" leaves it to the runtime).

    Raises InvalidParameter for a path that leads elsewhere, System where a limit is asked for that this host cannot keep.
    """
    if hierarchy.mode is Mode.NONE:
        if hierarchy.optional:
            # Of an ordinary user's, to whom none are given. What they were to keep is refused by name.
            writes, program = groups.limits(hierarchy, resources)
            return CgroupPlan({}, writes, program)
        raise System("no control groups are mounted on this host (mount -t cgroup2 cgroup2 /sys/fs/cgroup)")
    writes, program = groups.limits(hierarchy, resources)
    if systemd:
        parent, prefix, unit = _unit(path, name)
        scope = scope_plan.scope(unit, parent, resources, v2=hierarchy.mode is Mode.V2, prefix=prefix)
        below = [*scope_plan.slice_names(parent), scope.unit]
        return CgroupPlan(_everywhere(hierarchy, below), writes, program, "", scope)
    below = groups.parse_parent(path) or [name]
    return CgroupPlan(_everywhere(hierarchy, below), writes, program)


def _everywhere(hierarchy: Hierarchy, names: list[str]) -> dict[str, str]:
    return {controller: "/".join((root, *names)) for controller, root in hierarchy.roots().items()}


def _unit(path: str, name: str) -> tuple[str, str, str]:
    """Slice, prefix and name of the scope: `system.slice:docker:ID`, as runc reads it."""
    if not path:
        return "", "sampan", name
    parts = path.split(":")
    if len(parts) != 3 or not parts[2] or "/" in path:
        raise InvalidParameter(
            f'expected cgroupsPath to be of format "slice:prefix:name" for systemd cgroups, got {path[:200]!r} instead'
        )
    return parts[0], parts[1], parts[2]
