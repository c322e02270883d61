"""`sampan mount` and `umount`: a place on the host at which root sees a container's file system.

That of one that runs is `/proc/PID/root` of its program. For one that does not, a process is started that does nothing but have
the container's root, read-only, as its own: the place is its `/proc/PID/root`, no namespace of the host's shows a mount, and all
of it is gone when the process ends: with `umount`, with the container's start or removal, or with the daemon.
"""

import asyncio

from sampan.daemon.container import Container
from sampan.daemon.needs import Layers
from sampan.errors import System
from sampan.spec.ids import ContainerId
from sampan.transfer import orders
from sampan.transfer.porter import Porter, View


class Looks:
    """Who holds what, by container. On the event loop."""

    def __init__(self) -> None:
        self._held: dict[ContainerId, Porter] = {}

    def place(self, container: Container) -> str:
        """Where the merged tree is to be seen; "" where it is not."""
        if container.state.alive and container.state.pid:
            return f"/proc/{container.state.pid}/root"
        held = self._held.get(container.id)
        return f"/proc/{held.pid}/root" if held is not None else ""

    def held(self) -> tuple[ContainerId, ...]:
        """The containers that do not run and are mounted."""
        return tuple(self._held)

    async def begin(self, layers: Layers, container: Container) -> str:
        """Show the container's root, unless it is shown; where. Raises System."""
        async with container.lock:
            if place := self.place(container):
                return place
            try:
                tree = await layers.looked_at(container.id)
                porter = Porter(orders.HOLD, View(False, (tree,)))
            except OSError as error:
                raise System(f"cannot mount container {container.id[:12]}: {error.strerror}") from error
            try:
                await porter.held()
            except BaseException:
                await asyncio.shield(porter.close())
                raise
            self._held[container.id] = porter
            return self.place(container)

    async def end(self, container: ContainerId) -> bool:
        """Whether it was shown; now it is not."""
        porter = self._held.pop(container, None)
        if porter is not None:
            await porter.close()
        return porter is not None

    async def close(self) -> None:
        """End all."""
        for container in self.held():
            await self.end(container)
