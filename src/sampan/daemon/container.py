"""A container in the daemon's memory: its records, who waits for it, and what is under way for it."""

import asyncio
from collections.abc import Awaitable

from sampan.daemon.definition import Definition
from sampan.daemon.states import State
from sampan.runtime.request import AttachSpec, Step
from sampan.spec.containers import WaitExitError, WaitResponse
from sampan.spec.ids import ContainerId, ExecId
from sampan.spec.requests import WaitCondition


class Container:
    """One container. Its verbs run one after the other under `lock`; exits are told on the event loop without it."""

    __slots__ = (
        "_exit_waiters",
        "_removal_waiters",
        "definition",
        "execs",
        "held_clients",
        "last_delay",
        "lock",
        "removing",
        "restart_task",
        "state",
        "steps",
        "stop_requested",
    )

    def __init__(self, definition: Definition, state: State) -> None:
        self.definition = definition
        self.state = state
        self.lock = asyncio.Lock()
        self.execs: set[ExecId] = set()
        self.held_clients: list[AttachSpec] = []
        """clients that attached before the start, unread until then"""
        self.steps: tuple[Step, ...] = ()
        self.last_delay = 0.0
        self.restart_task: asyncio.Task[None] | None = None
        self.removing = False
        self.stop_requested = False
        """a stop or kill is under way: the exit that follows is not restarted"""
        self._exit_waiters: list[asyncio.Future[WaitResponse]] = []
        self._removal_waiters: list[asyncio.Future[WaitResponse]] = []

    @property
    def id(self) -> ContainerId:
        """The full id."""
        return self.definition.id

    @property
    def name(self) -> str:
        """The name, without a slash."""
        return self.definition.name

    def wait(self, condition: WaitCondition) -> Awaitable[WaitResponse]:
        """Begin to wait: what happens from here on is noticed."""
        future: asyncio.Future[WaitResponse] = asyncio.get_running_loop().create_future()
        if condition is WaitCondition.REMOVED:
            self._removal_waiters.append(future)
        elif condition is WaitCondition.NEXT_EXIT or self.state.running:
            self._exit_waiters.append(future)
        else:
            future.set_result(self._result(""))
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

    def drop_clients(self) -> None:
        """Close the connections of clients who waited for a start that does not come."""
        for client in self.held_clients:
            client.sock.close()
        self.held_clients.clear()


def _settle(waiters: list[asyncio.Future[WaitResponse]], result: WaitResponse) -> None:
    for waiter in waiters:
        if not waiter.done():
            waiter.set_result(result)
    waiters.clear()
