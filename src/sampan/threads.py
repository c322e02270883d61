"""Threads for work that blocks: what was refused is never done later."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from sampan.errors import System

P = ParamSpec("P")
T = TypeVar("T")


class Threads(ThreadPoolExecutor):
    """Threads that start when they are needed. Where none can be had, by memory or by the number of processes, a call fails.

    The library's own raises then as well, but keeps the call: a thread that becomes free would do it when its caller has
    long let go of what it works on.
    """

    def submit(self, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> "Future[T]":
        """See `Executor.submit`. Raises System where no thread can be had."""
        outcome: Future[T] = Future()

        def work() -> None:
            if not outcome.set_running_or_notify_cancel():
                return
            try:
                result = call(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001 - a thread's end: whoever waits raises it
                self.failed(error)
                outcome.set_exception(error)
            else:
                outcome.set_result(result)

        try:
            taken = super().submit(work)
        except RuntimeError as error:
            if outcome.cancel():
                raise System(str(error)) from error
            return outcome  # a thread became free meanwhile, and has begun with it
        # `shutdown` calls off what waits: so hears who waits for it.
        taken.add_done_callback(lambda taken: taken.cancelled() and outcome.cancel())
        return outcome

    def failed(self, error: BaseException) -> None:
        """A call raised `error`, and nobody knows of it yet. In the thread of the call."""
