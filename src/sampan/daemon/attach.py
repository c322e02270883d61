"""Attach: a client's connection goes to the monitor of a container that runs, or waits unread for its start."""

import asyncio
from dataclasses import replace

from sampan.daemon.container import Container
from sampan.daemon.engine import Engine
from sampan.daemon.hijack import head_read, refuse
from sampan.daemon.logs import Replay
from sampan.daemon.states import Status
from sampan.errors import Conflict, InvalidParameter
from sampan.runtime.request import AttachSpec, Behind
from sampan.spec import detach_keys
from sampan.spec.ids import ContainerId, ExecId
from sampan.spec.requests import AttachOptions, Hijacked

_MOST_HELD = 64
_TRIES = 32


class AttachableContainer:
    """A container that was checked; the connection comes with `take`."""

    def __init__(self, engine: Engine, container: Container, options: AttachOptions, keys: bytes) -> None:
        self._engine = engine
        self._container = container
        self._options = options
        self._keys = keys

    @property
    def tty(self) -> bool:
        """Whether the stream is raw."""
        return self._container.definition.config.tty

    @property
    def _raw(self) -> bool:
        return self.tty or not self._options.multiplexed

    async def take(self, connection: Hijacked) -> None:
        """Hand the connection over: now where the container runs, with its start where it does not yet."""
        container, options = self._container, self._options
        on_the_way: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        container.attaching.add(on_the_way)
        replay = Replay(self._engine, container, options, raw=self._raw) if options.logs else None
        try:
            if replay is not None:
                await head_read(connection)
                await replay.send(connection.sock)
            if options.stream:
                self._engine.event(container, "attach")
                await self._join(connection, replay)
            else:
                connection.sock.close()
        except OSError:
            # The client has gone.
            connection.sock.close()
        finally:
            container.attaching.discard(on_the_way)
            on_the_way.set_result(None)
            if replay is not None:
                replay.close()

    async def _join(self, connection: Hijacked, replay: Replay | None) -> None:
        """Have the client's streams go on with what comes."""
        container = self._container
        if container.starting:
            # Too late to go with that start, too early for the monitor: a moment's wait.
            async with container.lock:
                pass
        if container.state.alive:
            try:
                await self._attach(connection, replay)
            except KeyError:
                # It ended in between: the client sees the rest, and the end of the stream.
                if replay is not None:
                    await replay.send_rest(connection.sock)
                connection.sock.close()
        elif container.removing:
            connection.sock.close()
        elif len(container.held_clients) >= _MOST_HELD:
            refuse(connection, "too many clients wait for this container's start", raw=self._raw)
        else:
            container.held_clients.append(self._spec(connection))

    async def _attach(self, connection: Hijacked, replay: Replay | None) -> None:
        """To the monitor, which knows what it wrote behind the end of the replay."""
        for tries_left in reversed(range(_TRIES)):
            # A program that outruns its client gets away with a gap in the end, as every program does with Docker.
            after = replay.position if replay is not None and tries_left else None
            spec = self._spec(connection)
            try:
                await self._engine.runtime.attach(self._container.id, replace(spec, sock=spec.sock.dup(), after=after))
            except Behind:
                assert replay is not None
                await replay.send(connection.sock)
            else:
                connection.sock.close()
                return

    def _spec(self, connection: Hijacked) -> AttachSpec:
        options, config = self._options, self._container.definition.config
        return AttachSpec(
            sock=connection.sock,
            pending=connection.pending,
            stdin=options.stdin and config.open_stdin,
            stdout=options.stdout,
            stderr=options.stderr,
            detach_keys=self._keys,
            framed=None if options.multiplexed else False,
        )


def on_detach(engine: Engine, container_id: ContainerId, exec_id: ExecId | None) -> None:
    """The runtime says that a client has typed its detach keys."""
    container = engine.containers.get(container_id)
    if container is None:
        return
    if exec_id is None:
        engine.event(container, "detach")
    else:
        engine.event(container, "exec_detach", {"execID": exec_id})


def attach(engine: Engine, reference: str, options: AttachOptions) -> AttachableContainer:
    """Check that a client can attach; changes nothing. Raises NotFound, Conflict, InvalidParameter."""
    keys = _detach_keys(options.detach_keys)
    container = engine.find(reference)
    if container.state.status is Status.PAUSED:
        raise Conflict(f"container {container.id} is paused, unpause the container before attach")
    if container.state.status is Status.RESTARTING:
        raise Conflict(f"container {container.id} is restarting, wait until the container is running")
    return AttachableContainer(engine, container, options, keys)


def _detach_keys(text: str | None) -> bytes:
    try:
        return detach_keys.parse(text) if text else detach_keys.DEFAULT
    except ValueError as error:
        raise InvalidParameter(f"Invalid detach keys ({text}) provided") from error
