"""Prune: every container that does not run and fits goes."""

import time

from sampan.daemon import matching
from sampan.daemon.container import Container
from sampan.daemon.engine import Engine
from sampan.daemon.matching import Filters
from sampan.daemon.remove import remove
from sampan.daemon.times import parse_time
from sampan.errors import InvalidParameter, SampanError
from sampan.spec.containers import ContainersPruneReport
from sampan.spec.requests import RemoveOptions

_KEYS = frozenset({"label", "label!", "until"})


def fitting(engine: Engine, filters: Filters) -> list[Container]:
    """The stopped containers that fit. Raises InvalidParameter for filters."""
    matching.check_keys(filters, _KEYS)
    moments = [parse_time(text, time.time_ns()) for text in filters.get("until") or ()]
    if len(moments) > 1:
        raise InvalidParameter("more than one until filter specified")
    until = moments[0] if moments else None
    found = []
    for container in engine.containers:
        definition = container.definition
        labels = definition.config.labels or {}
        if container.state.running or (until is not None and definition.created_ns > until):
            continue
        if not matching.labels(filters, "label", labels):
            continue
        if filters.get("label!") and matching.labels(filters, "label!", labels):
            continue
        found.append(container)
    return found


async def prune(engine: Engine, filters: Filters) -> ContainersPruneReport:
    """Remove stopped containers. Raises InvalidParameter for filters."""
    removed: list[str] = []
    freed = 0
    for container in fitting(engine, filters):
        try:
            used = await engine.layers.usage(container.id)
            await remove(engine, container.id, RemoveOptions())
        except SampanError:
            # Started or removed a moment ago.
            continue
        removed.append(container.id)
        freed += used
    engine.events.publish("container", "prune", "", {"reclaimed": str(freed)})
    return ContainersPruneReport(containers_deleted=tuple(removed) or None, space_reclaimed=freed)
