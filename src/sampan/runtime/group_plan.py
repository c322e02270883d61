"""What START and PARK say of control groups: all of it, or for a slot what it does not have yet. Pure."""

from sampan.cgroups.plan import CgroupPlan, Write

Json = dict[str, object]


def body(wanted: CgroupPlan, done: CgroupPlan | None) -> Json:
    """The member `cgroup`. `done` is what a slot was parked with; None for a cold start, or for a slot itself."""
    return {
        "groups": wanted.groups,
        "writes": _writes_left(wanted, done),
        "device_program": wanted.device_program.hex(),
        "mark": wanted.mark,
        "scope": _scope(wanted) if done is None else _scope_change(wanted, done),
    }


def _writes_left(wanted: CgroupPlan, done: CgroupPlan | None) -> list[Write]:
    finished = set(done.writes) if done is not None else set()
    return [write for write in wanted.writes if write not in finished]


def _scope(cgroup: CgroupPlan) -> Json | None:
    if cgroup.scope is None:
        return None
    return {"unit": cgroup.scope.unit, "properties": cgroup.scope.properties}


def _scope_change(wanted: CgroupPlan, done: CgroupPlan) -> Json | None:
    """What systemd is to be told of a scope that stands already; None where it knows."""
    if wanted.scope is None or done.scope is None or wanted.scope.limits == done.scope.limits:
        return None
    return {"unit": wanted.scope.unit, "limits": wanted.scope.limits}
