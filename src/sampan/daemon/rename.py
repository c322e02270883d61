"""Rename: durable before it is answered for; both names are taken until then."""

import msgspec

from sampan.crashpoints import crash_point
from sampan.daemon.definition import DEFINITIONS, encode
from sampan.daemon.engine import Engine
from sampan.errors import Conflict, InvalidParameter
from sampan.state.store import Put


async def rename(engine: Engine, reference: str, new_name: str) -> None:
    """Give a container another name. Raises InvalidParameter, Conflict in Docker's wording."""
    if not reference or not new_name:
        raise InvalidParameter("Neither old nor new names may be empty")
    container = engine.find(reference)
    async with container.lock:
        old = container.name
        if new_name.removeprefix("/") == old:
            raise InvalidParameter("Renaming a container with the same name as its current name")
        if container.removing:
            raise Conflict(f"removal of container {reference} is already in progress")
        try:
            name = engine.containers.take_name(new_name, container.id)
        except (Conflict, InvalidParameter) as error:
            raise type(error)(f"Error when allocating new name: {error}") from error
        renamed = msgspec.structs.replace(container.definition, name=name)
        try:
            await engine.commit([Put(DEFINITIONS, container.id, encode(renamed))])
        except BaseException:
            engine.containers.free_name(name, container.id)
            raise
        crash_point("rename-after-commit")
        container.definition = renamed
        engine.wiring.renamed(renamed)
        engine.containers.free_name(old, container.id)
    engine.event(container, "rename", {"oldName": f"/{old}"})
