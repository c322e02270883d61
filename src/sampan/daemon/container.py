"""A container in the daemon's memory: its records, who waits for it, and what is under way for it."""

import asyncio
from concurrent.futures import Future

from sampan.daemon.definition import Definition
from sampan.daemon.states import State
from sampan.runtime.request import AttachSpec, Exit, Step
from sampan.spec.containers import ExitRequest, WaitExitError, WaitResponse
from sampan.spec.health import Health
from sampan.spec.ids import ContainerId
from sampan.spec.requests import WaitCondition

_ATTACHING_SECONDS = 1.0
"""How long a start waits for clients that are told what was said before; one that does not read is not waited for."""


class Container:
    """One container. Its verbs run one after the other under `lock`; exits are told on the event loop without it."""

    __slots__ = (
        "_exit_waiters",
        "_removal_waiters",
        "asked",
        "attaching",
        "definition",
        "early_exit",
        "ending",
        "health",
        "health_task",
        "held_clients",
        "lock",
        "log_readers",
        "oom_kills",
        "oom_timer",
        "pausing",
        "removing",
        "restart_task",
        "restarting_by_hand",
        "starting",
        "state",
        "steps",
        "stop_requested",
        "victims",
        "wish",
    )

    def __init__(self, definition: Definition, state: State) -> None:
        self.definition = definition
        self.state = state
        self.lock = asyncio.Lock()
        self.held_clients: list[AttachSpec] = []
        """clients that attached before the start, unread until then"""
        self.attaching: set[asyncio.Future[None]] = set()
        """clients that attached and are still being told what was said before: a start waits a moment for them"""
        self.log_readers = 0
        """clients that read the log: its files stay until they are through"""
        self.oom_kills = 0
        """kills for lack of memory in this run that events have told of"""
        self.victims: tuple[str, ...] = ()
        """whom the kernel killed for it in this run, as far as its log has told"""
        self.oom_timer: asyncio.TimerHandle | None = None
        """the next look for such kills"""
        self.pausing = False
        """a pause is under way; a signal that is to end the program sets this back, and the pause is taken back"""
        self.starting = False
        self.early_exit: Exit | None = None
        """an end that was heard before the start's own answer"""
        self.ending: asyncio.Future[None] | None = None
        """done when the end of the last run is on the disk, or could not be brought there"""
        self.steps: tuple[Step, ...] = ()
        self.health: Health | None = None
        """what its checks found; None where it has none, or never ran"""
        self.health_task: asyncio.Task[None] | None = None
        self.restart_task: asyncio.Task[None] | None = None
        self.removing = False
        self.restarting_by_hand = False
        """between the stop and the start of a restart: the exit in between neither restarts nor removes"""
        self.stop_requested = False
        """a stop or kill is under way: the exit that follows is not restarted"""
        self.asked: ExitRequest | None = None
        """the last signal that a client, or the daemon's end, had sent to this run"""
        self.wish: Future[None] | None = None
        """the record that somebody asked it to stop, on its way to the disk"""
        self._exit_waiters: set[asyncio.Future[WaitResponse]] = set()
        self._removal_waiters: set[asyncio.Future[WaitResponse]] = set()

    @property
    def id(self) -> ContainerId:
        """The full id."""
        return self.definition.id

    @property
    def name(self) -> str:
        """The name, without a slash."""
        return self.definition.name

    async def settled(self) -> None:
        """The end of the last run is on the disk, or cannot be brought there now, and what its monitor wrote of it is gone."""
        if self.ending is not None:
            await asyncio.shield(self.ending)

    def wait(self, condition: WaitCondition) -> "asyncio.Future[WaitResponse]":
        """Begin to wait: what happens from here on is noticed."""
        future: asyncio.Future[WaitResponse] = asyncio.get_running_loop().create_future()
        if condition is WaitCondition.REMOVED:
            waiters = self._removal_waiters
        elif condition is WaitCondition.NEXT_EXIT or self.state.running:
            waiters = self._exit_waiters
        else:
            future.set_result(self._result(""))
            return future
        waiters.add(future)
        future.add_done_callback(waiters.discard)
        return future

    def tell_exit(self) -> None:
        """Wake everyone who waits for an end."""
        _settle(self._exit_waiters, self._result(""))

    def tell_removed(self, error: str = "") -> None:
        """Wake everyone who waits for an end or the removal; `error` says why the removal failed."""
        _settle(self._exit_waiters, self._result(error))
        _settle(self._removal_waiters, self._result(error))

    def _result(self, error: str) -> WaitResponse:
        return WaitResponse(status_code=self.state.exit_code, error=WaitExitError(message=error) if error else None)

    async def attached(self) -> None:
        """Wait, a moment at most, until clients that are on their way stand with those that are held for the start."""
        await asyncio.wait(self.attaching, timeout=_ATTACHING_SECONDS)

    def drop_clients(self) -> None:
        """Close the connections of clients who waited for a start that does not come."""
        for client in self.held_clients:
            client.sock.close()
        self.held_clients.clear()


def _settle(waiters: set[asyncio.Future[WaitResponse]], result: WaitResponse) -> None:
    for waiter in waiters:
        if not waiter.done():
            waiter.set_result(result)
