"""Top: the processes of a running container, as the host's `ps` would show them."""

import asyncio

from sampan.daemon.engine import Engine
from sampan.daemon.states import Status
from sampan.errors import Conflict, System
from sampan.host.ps import options, process
from sampan.host.ps.columns import COLUMNS
from sampan.spec.containers import TopResponse
from sampan.spec.ids import ContainerId

_DEFAULT = "-ef"
_PATIENCE = 10.0
"""Seconds: a command line is read out of the process's memory, which may lie on a file system that does not answer."""


async def top(engine: Engine, reference: str, ps_args: str) -> TopResponse:
    """One row for each process. Raises NotFound, Conflict where nothing runs, InvalidParameter for options of ps."""
    columns = options.parse(ps_args or _DEFAULT)
    container = engine.find(reference)
    if not container.state.running:
        raise Conflict(f"container {container.id} is not running")
    if container.state.status is Status.RESTARTING:
        raise Conflict(f"Container {container.id} is restarting, wait until the container is running")
    reading = asyncio.get_running_loop().run_in_executor(None, _rows, engine, container.id, columns)
    try:
        rows = await asyncio.wait_for(reading, _PATIENCE)
    except TimeoutError as error:
        raise System(f"the processes of container {container.id} could not be read in {_PATIENCE:.0f} s") from error
    engine.event(container, "top")
    return TopResponse(titles=tuple(column.title for column in columns), processes=rows)


def _rows(engine: Engine, container: ContainerId, columns: tuple[options.Column, ...]) -> tuple[tuple[str, ...], ...]:
    moment = process.Moment.current()
    cells = [COLUMNS[column.name][1] for column in columns]
    found = (process.read(pid) for pid in engine.runtime.pids(container))
    return tuple(tuple(cell(one, moment) for cell in cells) for one in found if one is not None)
