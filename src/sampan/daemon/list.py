"""List: one line for each container that fits, newest first, from memory."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from sampan.daemon import health_rules, matching
from sampan.daemon.container import Container
from sampan.daemon.engine import Engine
from sampan.daemon.inspect import mount_points, network_settings
from sampan.daemon.matching import Filters
from sampan.daemon.states import Status
from sampan.errors import InvalidParameter, NotFound, NotImplementedHere
from sampan.spec.containers import ContainerSummary, SummaryHostConfig, SummaryNetworkSettings
from sampan.spec.durations import human
from sampan.spec.ids import ContainerId
from sampan.spec.ports import Port, PortMap
from sampan.spec.requests import ContainerListOptions

_KEYS = frozenset(
    {"ancestor", "before", "exited", "expose", "health", "id", "is-task", "isolation", "label", "name", "network"}
    | {"publish", "since", "status", "volume"}
)
_HEALTH = frozenset({"none", "starting", "healthy", "unhealthy"})


Measure = Callable[[ContainerId], Awaitable[int]]


async def list_containers(
    engine: Engine, options: ContainerListOptions, measure: Measure | None = None
) -> tuple[ContainerSummary, ...]:
    """The containers that fit; sizes by a walk over each writable layer, unless `measure` tells them.

    Raises InvalidParameter for filters, NotFound for `before` and `since`.
    """
    chosen = choose(engine, options)
    if not options.size:
        return tuple(summary(engine, container) for container in chosen)
    told = measure or engine.layers.usage
    found = await asyncio.gather(*(_measured(engine, container, told) for container in chosen))
    return tuple(one for one in found if one is not None)


async def _measured(engine: Engine, container: Container, measure: Measure) -> ContainerSummary | None:
    try:
        used = await measure(container.id)
        image = container.definition.image_id
        total = used + (engine.layers.size(image) if image else 0)
    except NotFound:
        return None  # removed since it was chosen
    return summary(engine, container, used, total)


def choose(engine: Engine, options: ContainerListOptions) -> list[Container]:
    """The containers that fit, newest first."""
    fits = _judge(engine, options.filters)
    everything = (
        options.all
        or options.limit > 0
        or any(key in options.filters for key in ("status", "exited", "before", "since"))
    )
    newest = sorted(engine.containers, key=lambda container: container.definition.created_ns, reverse=True)
    if options.limit > 0:
        newest = newest[: options.limit]
    return [container for container in newest if (everything or container.state.running) and fits(container)]


def _judge(engine: Engine, filters: Filters) -> Callable[[Container], bool]:
    matching.check_keys(filters, _KEYS)
    exited = {_code(text) for text in filters.get("exited") or ()}
    for status in filters.get("status") or ():
        if status not in list(Status):
            raise InvalidParameter(f"invalid filter 'status={status}'")
    for health in filters.get("health") or ():
        if health not in _HEALTH:
            raise InvalidParameter(f"invalid filter 'health={health}'")
    is_task = matching.boolean(filters, "is-task", default=False)
    before = _time_of(engine, filters, "before")
    since = _time_of(engine, filters, "since")
    ancestors = _ancestors(engine, filters)
    if any(text not in ("default", "") for text in filters.get("isolation") or ()):
        raise NotImplementedHere("the filter isolation has no meaning on Linux")

    def fits(container: Container) -> bool:
        definition, state = container.definition, container.state
        return (
            matching.pattern(filters, "id", container.id)
            and any(_name_fits(filters, name[1:]) for name in engine.linked.names(container))
            and matching.labels(filters, "label", definition.config.labels or {})
            and (not filters.get("status") or state.status in (filters.get("status") or ()))
            and (not exited or (state.exit_code in exited and not state.running and state.started_ns > 0))
            and (before is None or definition.created_ns < before)
            and (since is None or definition.created_ns > since)
            and (ancestors is None or definition.image_id in ancestors)
            and matching.exact(filters, "health", container.health.status if container.health else "none")
            and not is_task
            and _mounts_fit(filters, container)
            and _network_fits(engine, filters, container)
            and _ports_fit(engine, filters, container)
        )

    return fits


def _code(text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise InvalidParameter(f"invalid filter 'exited={text}'") from error


def _time_of(engine: Engine, filters: Filters, key: str) -> int | None:
    times = [engine.find(reference).definition.created_ns for reference in filters.get(key) or ()]
    if not times:
        return None
    return min(times) if key == "before" else max(times)


def _ancestors(engine: Engine, filters: Filters) -> set[str] | None:
    if not filters.get("ancestor"):
        return None
    found: set[str] = set()
    for reference in filters.get("ancestor") or ():
        try:
            found.add(engine.layers.find(reference).id)
        except NotFound:
            # As in Docker: an image that is not there is nobody's ancestor.
            continue
    return found


def _name_fits(filters: Filters, name: str) -> bool:
    return matching.pattern(filters, "name", name) or matching.pattern(filters, "name", f"/{name}")


def _mounts_fit(filters: Filters, container: Container) -> bool:
    asked = filters.get("volume")
    if not asked:
        return True
    there = {text for point in container.definition.mounts for text in (point.name, point.destination) if text}
    return bool(there & set(asked))


def _network_fits(engine: Engine, filters: Filters, container: Container) -> bool:
    asked = filters.get("network")
    if not asked:
        return True
    found = network_settings(engine, container).networks
    return any(
        wanted in found or any(end.network_id.startswith(wanted) for end in found.values() if end.network_id)
        for wanted in asked
    )


def _ports_fit(engine: Engine, filters: Filters, container: Container) -> bool:
    for key in ("publish", "expose"):
        asked = filters.get(key)
        if not asked:
            continue
        connected = engine.wiring.connected(container.id)
        there = set(connected.ports if connected else ()) | set(container.definition.config.exposed_ports or ())
        if key == "publish":
            there = {port for port in there if connected and connected.ports.get(port)}
        if not there & _ports(asked):
            return False
    return True


def _ports(asked: object) -> set[str]:
    found: set[str] = set()
    assert isinstance(asked, tuple | list | set | frozenset)
    for text in asked:
        numbers, _, protocol = str(text).partition("/")
        first, _, last = numbers.partition("-")
        if not first.isdecimal() or (last and not last.isdecimal()) or int(last or first) > 65535:
            raise InvalidParameter(f"invalid filter: {text}")
        found |= {f"{port}/{protocol or 'tcp'}" for port in range(int(first), int(last or first) + 1)}
    return found


def summary(engine: Engine, container: Container, used: int = 0, total: int = 0) -> ContainerSummary:
    """One line."""
    definition = container.definition
    settings = network_settings(engine, container)
    status = Status.REMOVING if container.removing and not container.state.running else container.state.status
    return ContainerSummary(
        id=container.id,
        names=engine.linked.names(container),
        image=_image(engine, container),
        image_id=definition.image_id or "",
        command=_command(definition.path, definition.args),
        created=definition.created_ns // 10**9,
        ports=_port_list(settings.ports) if container.state.alive else (),
        size_rw=used,
        size_root_fs=total,
        labels=dict(definition.config.labels or {}),
        state=status,
        status=status_text(container, time.time_ns()),
        host_config=SummaryHostConfig(
            network_mode=definition.host.network_mode, annotations=definition.host.annotations
        ),
        network_settings=SummaryNetworkSettings(networks=settings.networks),
        mounts=mount_points(engine, definition.mounts),
    )


def _image(engine: Engine, container: Container) -> str:
    """What the image was called, as long as that still means it."""
    definition = container.definition
    try:
        known = engine.layers.find(definition.image).id if definition.image else None
    except (NotFound, InvalidParameter):
        known = None
    return definition.image if known == definition.image_id else definition.image_id or definition.image


def _command(path: str, arguments: tuple[str, ...]) -> str:
    return " ".join((path, *(f"'{word}'" if " " in word else word for word in arguments)))


def _port_list(ports: PortMap) -> tuple[Port, ...]:
    found = []
    for text, bindings in sorted(ports.items()):
        number, _, protocol = text.partition("/")
        private = int(number)
        if not bindings:
            found.append(Port(private_port=private, type=protocol or "tcp"))
        found += [
            Port(ip=b.host_ip, private_port=private, public_port=int(b.host_port or 0), type=protocol or "tcp")
            for b in bindings or ()
        ]
    return tuple(found)


def status_text(container: Container, now_ns: int) -> str:
    """`Up 3 minutes`, `Exited (0) 2 hours ago`, as `docker ps` prints it."""
    state = container.state
    up, since = (now_ns - state.started_ns) / 1e9, (now_ns - state.finished_ns) / 1e9
    match state.status:
        case Status.RUNNING:
            return f"Up {human(up)}" + health_rules.shown(container.health)
        case Status.PAUSED:
            return f"Up {human(up)} (Paused)"
        case Status.RESTARTING:
            return f"Restarting ({state.exit_code}) {human(since)} ago"
        case Status.REMOVING:
            return "Removal In Progress"
        case Status.DEAD:
            return "Dead"
        case Status.CREATED:
            return "Created"
        case Status.EXITED:
            return f"Exited ({state.exit_code}) {human(since)} ago"
