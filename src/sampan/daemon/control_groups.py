"""Who manages the control groups (this daemon itself, or systemd), where a container's are, and order among them."""

import asyncio
import logging
import os
from collections.abc import Iterable
from contextlib import suppress

from sampan.cgroups import scopes
from sampan.cgroups.ending import clear
from sampan.cgroups.hierarchy import Hierarchy, Mode
from sampan.cgroups.leftovers import leftovers, retire, scopes_left
from sampan.cgroups.plan import CgroupPlan, parse_parent, plan
from sampan.cgroups.scope_plan import slice_names
from sampan.daemon import oci
from sampan.daemon.engine import Engine
from sampan.errors import InvalidParameter
from sampan.spec import oci_runtime
from sampan.spec.ids import ContainerId, InstanceId

_log = logging.getLogger("sampan.daemon")
_RETIRE_TRIES = 20
_RETIRE_PAUSE = 0.02
_RUNS = "/run/systemd/system"
"""There where systemd is the machine's own manager (sd_booted(3))."""


def managed_by_systemd(asked: str, hierarchy: Hierarchy, parent: str) -> bool:
    """Whether groups are scopes of systemd's: where `asked` says so, and by itself where Docker takes it, on v2 alone with systemd.

    That it is there is tried by asking it something. Raises InvalidParameter where it is asked for and cannot be, and where
    `parent` is no slice. A systemd that was not asked for and does not answer is said in the log, and groups are written
    directly: containers that run keep theirs under either manager.
    """
    by_itself = not asked and hierarchy.mode is Mode.V2 and not _obstacle(hierarchy)
    if asked != "systemd" and not by_itself:
        return False
    trouble = _obstacle(hierarchy) or _silence()
    if trouble and by_itself:
        _log.warning("control groups are written directly, as with native.cgroupdriver=cgroupfs: %s", trouble)
        return False
    if trouble:
        raise InvalidParameter(f"native.cgroupdriver=systemd: {trouble}")
    if parent:
        slice_names(parent)
    return True


def realtime_budget(period: int, runtime: int, hierarchy: Hierarchy) -> tuple[int, int]:
    """What the daemon's `cpu-rt-period` and `cpu-rt-runtime` give the groups above containers. Raises InvalidParameter."""
    if not period and not runtime:
        return 0, 0
    what = "daemon-scoped cpu-rt-period and cpu-rt-runtime are not"
    if hierarchy.mode is Mode.V2:
        raise InvalidParameter(f"{what} implemented for cgroup v2")
    if not os.path.exists(f"{hierarchy.v1.get('cpu')}/cpu.rt_period_us"):
        raise InvalidParameter(f"{what} supported by the kernel")
    return period, runtime


def _obstacle(hierarchy: Hierarchy) -> str:
    """Why systemd is not to be asked here; in a part of the tree, as in a container, its units lie outside."""
    if hierarchy.v2 and os.path.exists(f"{hierarchy.v2}/cgroup.type"):
        return "this daemon sees only a part of the tree of control groups"
    return "" if os.path.isdir(_RUNS) else "systemd is not the manager of this machine"


def _silence() -> str:
    trouble = scopes.trouble()
    return f"systemd does not answer: {trouble}" if trouble else ""


class GroupPlanner:
    """Implements `engine.CgroupPlanner` on this host's hierarchies, and keeps order there."""

    def __init__(
        self, hierarchy: Hierarchy, instance: InstanceId, *, systemd: bool, budget: tuple[int, int] = (0, 0)
    ) -> None:
        """`budget` is that of `plan`."""
        self._hierarchy = hierarchy
        self._instance = instance
        self._systemd = systemd
        self._budget = budget
        self._parents: set[str] = set()
        """those that this daemon's containers had; some of them may be gone"""

    def plan(self, container: ContainerId, parent: str, resources: oci_runtime.Resources) -> CgroupPlan:
        """See the Protocol."""
        made = plan(
            self._hierarchy,
            self._instance,
            container,
            parent,
            resources,
            systemd=self._systemd,
            budget=self._budget,
        )
        self._parents.add(parent)
        return made

    def sweep(self, engine: Engine) -> None:
        """Kill and remove what stands in groups of containers that do not run: starts that were cut off."""
        running = {container.id for container in engine.containers if container.state.alive}
        parents = _parents(engine)
        found = [*leftovers(self._hierarchy, self._instance, _plain(parents)).items()]
        found += scopes_left(self._hierarchy, self._instance, _slices(parents)).items()
        for container, groups in found:
            if container not in running:
                try:
                    clear(groups)
                except OSError as error:
                    _log.warning("control groups of %s stay: %s", container[:12], error)

    async def retire(self, engine: Engine) -> None:
        """Remove the instance's own groups when no container is left in them; parked slots may need a moment to go."""
        if any(container.state.alive for container in engine.containers):
            return
        parents = _plain(_parents(engine) | self._parents - {""})
        for _ in range(_RETIRE_TRIES):
            if retire(self._hierarchy, self._instance, parents):
                return
            await asyncio.sleep(_RETIRE_PAUSE)


def _parents(engine: Engine) -> set[str]:
    parents = {oci.cgroup_parent(container.definition.host, engine.around) for container in engine.containers}
    return {parent for parent in (*parents, engine.around.cgroup_parent) if parent}


def _slices(parents: Iterable[str]) -> list[str]:
    """Those that are slices: a container may have been made under another manager."""
    found = []
    for parent in parents:
        try:
            slice_names(parent)
        except InvalidParameter:
            continue
        found.append(parent)
    return found


def _plain(parents: Iterable[str]) -> list[str]:
    """Parents as directories. A slice's is systemd's to remove; in one that leads elsewhere nothing was ever started."""
    slices = set(_slices(parents))
    found = []
    for parent in parents:
        with suppress(InvalidParameter):
            parse_parent(parent)
            found.append(parent)
    return [parent for parent in found if parent not in slices]
