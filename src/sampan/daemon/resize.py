"""Resize: the size of a container's or exec's terminal. Without a terminal there is nothing to do, which is no fault in Docker."""

import asyncio

from sampan.daemon.engine import Engine
from sampan.daemon.exec_create import active
from sampan.errors import Conflict, InvalidParameter, NotFound, System
from sampan.spec.ids import ContainerId, ExecId

_START_SECONDS = 10.0
_CELLS = 1 << 16
"""The kernel's sizes are 16 bits; Docker takes 32 and cuts them off."""


async def container(engine: Engine, reference: str, rows: int, columns: int) -> None:
    """Of a container's terminal. Raises NotFound, Conflict where it does not run."""
    found = engine.find(reference)
    if found.starting:
        async with found.lock:
            pass
    if not found.state.alive:
        raise Conflict(f"Container {found.id} is not running")
    if found.definition.config.tty:
        try:
            await _resize(engine, found.id, rows, columns)
        except KeyError as error:
            raise Conflict(f"Container {found.id} is not running") from error
    engine.event(found, "resize", {"height": str(rows), "width": str(columns)})


async def exec_(engine: Engine, exec_id: str, rows: int, columns: int) -> None:
    """Of an exec's terminal: clients ask for it while it is only being started. Raises NotFound, Conflict, System after 10 s."""
    found = engine.execs.find(exec_id)
    active(engine, found.container)
    try:
        await asyncio.wait_for(found.settled.wait(), _START_SECONDS)
    except TimeoutError as error:
        raise System("timeout waiting for exec session ready") from error
    if found.exit_code is not None and not found.ran:
        raise InvalidParameter("exec process is not started")
    if not found.running:
        raise NotFound("no such exec")
    if found.request.tty:
        try:
            await _resize(engine, found.id, rows, columns)
        except KeyError as error:
            raise NotFound("no such exec") from error


async def _resize(engine: Engine, target: ContainerId | ExecId, rows: int, columns: int) -> None:
    try:
        await engine.runtime.resize(target, rows % _CELLS, columns % _CELLS)
    except OSError as error:
        raise System(f"cannot resize: {error}") from error
