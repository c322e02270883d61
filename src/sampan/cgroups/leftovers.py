"""Groups of an instance that nobody may own any more: a launcher or monitor was killed between making and recording them."""

import os
from collections.abc import Iterable

from sampan.cgroups.apply import MADE, MARK
from sampan.cgroups.hierarchy import Hierarchy
from sampan.cgroups.means import instance_groups
from sampan.cgroups.plan import SHARED, instance_group, parse_parent
from sampan.cgroups.scope_plan import container_of, slice_names


def scopes_left(hierarchy: Hierarchy, instance: str, parents: Iterable[str] = ()) -> dict[str, dict[str, str]]:
    """The same where systemd manages the groups: its scopes in the slices `parents` (and its default) that bear the mark."""
    found: dict[str, dict[str, str]] = {}
    for parent in dict.fromkeys(("", *parents)):
        below = "/".join(slice_names(parent))
        for controller, root in hierarchy.roots().items():
            for name in _below(f"{root}/{below}"):
                container = container_of(name)
                if container and _mark_of(f"{root}/{below}/{name}") == instance:
                    found.setdefault(container, {})[controller] = f"{root}/{below}/{name}"
    return found


def leftovers(hierarchy: Hierarchy, instance: str, parents: Iterable[str] = ()) -> dict[str, dict[str, str]]:
    """Container id → its groups that exist, for every container of this instance: those that run, too.

    `parents` are the --cgroup-parents that containers have been given, beside the engine's own place. What is not in the
    daemon's records is for `ending.clear`.
    """
    found = _shared(hierarchy, instance)
    for groups in _places(hierarchy, instance, parents):
        for controller, directory in groups.items():
            for name in _below(directory):
                found.setdefault(name, {})[controller] = f"{directory}/{name}"
    return found


def retire(hierarchy: Hierarchy, instance: str, parents: Iterable[str] = ()) -> bool:
    """Remove the instance's own groups, which the first container made. False where some container still has groups there."""
    empty = not _shared(hierarchy, instance)
    for root in dict.fromkeys(hierarchy.roots().values()):
        if _mark_of(f"{root}/{SHARED}") == MADE:
            _remove_if_empty(f"{root}/{SHARED}")
    for groups in _places(hierarchy, instance, parents):
        for directory in dict.fromkeys(groups.values()):
            empty &= _remove_if_empty(directory)
    return empty


def _remove_if_empty(directory: str) -> bool:
    """False where something stands in it still: containers, which outlive the daemon, or another engine's."""
    try:
        os.rmdir(directory)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _shared(hierarchy: Hierarchy, instance: str) -> dict[str, dict[str, str]]:
    """What bears the instance's mark beside the containers of other engines."""
    found: dict[str, dict[str, str]] = {}
    for controller, root in hierarchy.roots().items():
        for name in _below(f"{root}/{SHARED}"):
            if _mark_of(f"{root}/{SHARED}/{name}") == instance:
                found.setdefault(name, {})[controller] = f"{root}/{SHARED}/{name}"
    return found


def _mark_of(directory: str) -> str:
    try:
        return os.getxattr(directory, MARK).decode("ascii", "replace")
    except OSError:
        return ""


def _places(hierarchy: Hierarchy, instance: str, parents: Iterable[str]) -> list[dict[str, str]]:
    places = [instance_groups(hierarchy, instance)]
    for parent in dict.fromkeys(parents):
        below = "/".join((*parse_parent(parent), instance_group(instance)))
        places.append({name: f"{root}/{below}" for name, root in hierarchy.roots().items()})
    return places


def _below(directory: str) -> list[str]:
    try:
        with os.scandir(directory) as entries:
            return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []
