"""Update: limits and restart policy of a container are changed, at once where it runs and for every later run; or nothing is."""

import asyncio
import logging
from collections.abc import Mapping, Sequence

import msgspec

from sampan.cgroups import change, scopes
from sampan.cgroups.plan import Write
from sampan.cgroups.scope_plan import Scope
from sampan.daemon import oci, verify
from sampan.daemon.container import Container
from sampan.daemon.definition import DEFINITIONS, Definition, encode
from sampan.daemon.engine import Engine
from sampan.daemon.verify_resources import check_resources
from sampan.errors import Conflict, InvalidParameter, SampanError, System
from sampan.spec.containers import UpdateResponse
from sampan.spec.host_config import HostConfig, Resources, UpdateRequest
from sampan.state.store import Put

_log = logging.getLogger("sampan.daemon")
_CHANGED = (
    *(
        "blkio_weight",
        "cpu_shares",
        "nano_cpus",
        "cpu_period",
        "cpu_quota",
        "cpu_realtime_period",
        "cpu_realtime_runtime",
    ),
    *("cpuset_cpus", "cpuset_mems", "memory", "memory_swap", "memory_reservation", "kernel_memory"),
)
"""What an update can change; 0 or "" asks for no change. `pids_limit` is apart: there 0 is a value, and null none."""
_FOREIGN = ("cpu_percent", "io_maximum_bandwidth", "io_maximum_iops")
"""What only Windows has: judged as at a create."""
_UNCHANGED = Resources()


async def update(engine: Engine, reference: str, request: UpdateRequest) -> UpdateResponse:
    """Change what the request names. Raises InvalidParameter, NotFound, Conflict; System where the kernel refuses a limit."""
    asked, warnings = _judge(engine, request)
    container = engine.find(reference)
    async with container.lock:
        try:
            if container.removing:
                raise System('container is marked for removal and cannot be "update"')
            _refuse_others(container.definition.host, request)
            await _change(engine, container, asked)
        except (Conflict, InvalidParameter, System) as error:
            raise type(error)(f"Cannot update container {container.id}: {error}") from error
    engine.event(container, "update")
    return UpdateResponse(warnings=tuple(warnings) or None)


def _judge(engine: Engine, request: UpdateRequest) -> tuple[HostConfig, list[str]]:
    """The request as the host can keep it, and the warnings; judged before the container is looked for, as in Docker."""
    verify.check_restart_policy(request.restart_policy)
    wanted = {name: getattr(request, name) for name in (*_CHANGED, *_FOREIGN, "pids_limit")}
    return check_resources(HostConfig(**wanted, restart_policy=request.restart_policy), engine.means, is_update=True)


def _refuse_others(host: HostConfig, request: UpdateRequest) -> None:
    """Limits that no update can change: Docker drops them in silence. What is as it was asks for nothing."""
    for field in msgspec.structs.fields(Resources):
        if field.name in (*_CHANGED, *_FOREIGN, "pids_limit"):
            continue
        value = getattr(request, field.name)
        if value not in (getattr(_UNCHANGED, field.name), getattr(host, field.name)) and value not in ((), False):
            raise InvalidParameter(f"{field.encode_name} cannot be changed by an update")


def merged(host: HostConfig, asked: HostConfig) -> HostConfig:
    """The container's settings with what was asked for in their place. Pure; raises Conflict in Docker's words."""
    for given, standing, text in (
        (asked.nano_cpus, host.cpu_period, "Nano CPUs cannot be updated as CPU Period has already been set"),
        (asked.nano_cpus, host.cpu_quota, "Nano CPUs cannot be updated as CPU Quota has already been set"),
        (asked.cpu_period, host.nano_cpus, "CPU Period cannot be updated as NanoCPUs has already been set"),
        (asked.cpu_quota, host.nano_cpus, "CPU Quota cannot be updated as NanoCPUs has already been set"),
    ):
        if given > 0 and standing > 0:
            raise Conflict(f"Conflicting options: {text}")
    if asked.memory and not asked.memory_swap and asked.memory > host.memory_swap:
        raise Conflict(
            "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time"
        )
    changes: dict[str, object] = {name: getattr(asked, name) for name in _CHANGED if getattr(asked, name)}
    if asked.pids_limit is not None:
        changes["pids_limit"] = asked.pids_limit
    if asked.restart_policy.name:
        if host.auto_remove and asked.restart_policy.name != "no":
            raise Conflict("Restart policy cannot be updated because AutoRemove is enabled for the container")
        changes["restart_policy"] = asked.restart_policy
    return msgspec.structs.replace(host, **changes)


async def _change(engine: Engine, container: Container, asked: HostConfig) -> None:
    """The kernel first, because only it knows whether it will; then the record. A record that fails takes the limits back."""
    before = container.definition
    after = msgspec.structs.replace(before, host=merged(before.host, asked))
    await _apply(engine, container, before, after)
    try:
        await engine.commit([Put(DEFINITIONS, container.id, encode(after))])
    except SampanError:
        await _apply(engine, container, after, before)
        raise
    container.definition = after


def _write(groups: Mapping[str, str], writes: Sequence[Write], scope: Scope | None) -> None:
    """Raises OSError where a limit is refused. systemd's copy comes second: the limits hold without it, until it reloads."""
    change.change(groups, writes)
    if scope is not None and any(group.endswith(f"/{scope.unit}") for group in groups.values()):
        try:
            scopes.change(scope.unit, scope.limits)
        except OSError as error:
            _log.warning("%s: systemd does not take the limits: %s", scope.unit, error)


async def _apply(engine: Engine, container: Container, before: Definition, after: Definition) -> None:
    """Write what differs into the groups of a running container; where nothing runs, only judge it."""
    plans = [
        engine.cgroups.plan(
            container.id,
            oci.cgroup_parent(definition.host, engine.around),
            oci.resources(definition.host),
        )
        for definition in (before, after)
    ]
    writes = change.difference(plans[0].writes, plans[1].writes)
    if not writes or not container.state.alive:
        return
    try:
        # Where it stands, whatever manager it was started under.
        groups = engine.runtime.groups(container.id)
        await asyncio.get_running_loop().run_in_executor(None, _write, groups, writes, plans[1].scope)
    except KeyError:
        return
    except OSError as error:
        if not engine.runtime.pids(container.id):
            # It has ended, its groups with it: the next start follows the new plan.
            return
        for note in getattr(error, "__notes__", ()):
            _log.error("container %s: %s", container.id[:12], note)
        raise System(f"failed to {error.strerror}: {error.filename}") from error
