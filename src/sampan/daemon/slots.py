"""Parked slots as this daemon wants them: what the plain container of its defaults is made of."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import msgspec

from sampan.cgroups.plan import CgroupPlan
from sampan.cgroups.scope_plan import Scope
from sampan.daemon import merge, oci, runtimes, userns_mode
from sampan.daemon.definition import Definition
from sampan.daemon.engine import Engine
from sampan.daemon.users import AUTO
from sampan.network.networks import Networks
from sampan.runtime.pool import SlotKind, SlotPlan
from sampan.spec import oci_runtime
from sampan.spec.containers import ContainerConfig
from sampan.spec.host_config import HostConfig
from sampan.spec.ids import ContainerId, new_id

_MODEL = ContainerId("0" * 64)


def planner(engine: Engine, networks: Networks) -> partial[SlotPlan]:
    """The function that the runtime calls for each slot: (id, kind) → plan.

    The plan is worked out once, for a model; slots differ in the id that their groups bear, and some in their users.
    """
    host = merge.with_defaults(
        HostConfig(), engine.config, cgroup_v2=engine.around.cgroup_v2, thermal=engine.around.thermal
    )
    definition = Definition(
        id=_MODEL,
        name="",
        created_ns=0,
        image="",
        image_id=None,
        config=ContainerConfig(),
        host=host,
        path="/",
        users=engine.users.default,
    )
    configuration = oci.configuration(definition, engine.around, oci.Joined())
    parent = oci.cgroup_parent(host, engine.around)
    model = engine.cgroups.plan(_MODEL, parent, configuration.linux.resources)

    def with_users(container: ContainerId) -> oci_runtime.Config:
        maps = engine.users.take(container, AUTO, None)
        return oci.configuration(msgspec.structs.replace(definition, users=maps), engine.around, oci.Joined())

    return partial(_plan, networks, lambda name, users: with_users(name) if users else configuration, model)


def _plan(
    networks: Networks,
    configuration: Callable[[ContainerId, bool], oci_runtime.Config],
    model: CgroupPlan,
    container: ContainerId,
    kind: SlotKind,
) -> SlotPlan:
    groups = {name: directory.replace(_MODEL, container) for name, directory in model.groups.items()}
    return SlotPlan(
        configuration(container, kind.users),
        replace(model, groups=groups, scope=_scope(model, container)),
        networks.slot_plan() if kind.bridge else None,
    )


def _scope(model: CgroupPlan, container: ContainerId) -> Scope | None:
    if model.scope is None:
        return None
    named = {"Description": f"sampan container {container}"}
    properties = tuple((name, kind, named.get(name, value)) for name, kind, value in model.scope.properties)
    return replace(model.scope, unit=model.scope.unit.replace(_MODEL, container), properties=properties)


def reserved(engine: Engine, host: HostConfig) -> ContainerId:
    """The id for a container as asked for: that of a slot that it may fit, or a new one. `pool.fits` judges at the start."""
    asked = userns_mode.asked(host)
    usual = asked.kind == "default" or (asked.kind == "host" and engine.users.default is None)
    if not looks_plain(host) or not (usual or asked == AUTO):
        return ContainerId(new_id())
    return engine.runtime.reserve(host.network_mode != "none", asked == AUTO)


def looks_plain(host: HostConfig) -> bool:
    """Whether a container as asked for may fit a slot but for its users."""
    own = host.pid_mode in ("", "private") and host.ipc_mode in ("", "private", "shareable") and not host.uts_mode
    return (
        own
        and host.runtime in runtimes.OWN_NAMES
        and not host.privileged
        and not host.cgroup_parent
        and host.network_mode in ("", "default", "bridge", "none")
    )
