"""A daemon that gets no memory ends, as if it were killed: containers go on, and the next daemon takes them over.

Where an allocation fails, a thread may be gone, an answer lost or one of two records changed, and whoever waits for them waits for
ever. Nothing makes up for that in every place; the next daemon does, for a kill leaves no less. So a MemoryError ends the process
wherever it comes to an edge:

    a thread, also one that has not begun (Thread.start
    waits for it, for ever), a finalizer ─────────────── hooks of the interpreter, told to a thread that watches
    the event loop's callbacks, and its tasks that
    nobody waits for ─────────────────────────────────── its exception handler
    the event loop itself ────────────────────────────── `run`
    a call in one of the daemon's pools ──────────────── `threads`
    requests, tasks, calls of gRPC, and what a future
    tells, whose faults concurrent.futures swallows ──── their line in the log, which has the fault with it, shown or not

msgspec's decoder does not look whether it got the memory for a string (0.22): there the process ends by SIGSEGV, which is no less.

What the kernel lacks memory for comes as OSError, a thread that cannot be had as System: both fail one request, and no more.
"""

import asyncio
import logging
import os
import queue
import sys
import threading
from collections.abc import Coroutine
from typing import Any

_log = logging.getLogger("sampan.daemon")
STATUS = 1
"""What the process ends with: systemd's Restart=on-failure starts the next."""
_DEEPEST = 16
"""Faults behind a fault that are looked at."""


def watch() -> None:
    """Watch threads, finalizers and the log. Once, after the log has been set up."""
    # Hooks written in C: where a new thread gets no memory for its first frame, no function of Python's is called in it.
    told: queue.SimpleQueue[threading.ExceptHookArgs | sys.UnraisableHookArgs] = queue.SimpleQueue()
    threading.Thread(target=_report, args=(told,), name="faults", daemon=True).start()
    threading.excepthook = sys.unraisablehook = told.put
    logging.getLogger().addHandler(_Watch(logging.ERROR))


def _report(told: "queue.SimpleQueue[threading.ExceptHookArgs | sys.UnraisableHookArgs]") -> None:
    while True:
        fault = told.get()
        try:
            if isinstance(fault, threading.ExceptHookArgs):
                threading.__excepthook__(fault)
            else:
                sys.__unraisablehook__(fault)
        finally:
            end_if_exhausted(fault.exc_value)
        # What it refers to is somebody's, who may wait for its end.
        del fault


def run(work: Coroutine[Any, Any, None]) -> None:
    """`asyncio.run`, without waiting for tasks and threads where the loop itself gets no memory."""
    with asyncio.Runner() as runner:
        try:
            runner.get_loop().set_exception_handler(_loop_fault)
            runner.run(work)
        except MemoryError as error:
            end_if_exhausted(error)


def end_if_exhausted(error: BaseException | None) -> None:
    """End the process if `error` is a lack of memory, or came of one."""
    for _ in range(_DEEPEST):
        if error is None:
            return
        if isinstance(error, MemoryError):
            try:
                _log.critical(
                    "the daemon has no memory left and ends; containers go on, and the next daemon takes over"
                )
            finally:
                os._exit(STATUS)
        error = error.__cause__ or error.__context__


def _loop_fault(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    try:
        loop.default_exception_handler(context)
    finally:
        end_if_exhausted(context.get("exception"))


class _Watch(logging.Handler):
    """Sees each fault that somebody caught and told of."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            end_if_exhausted(record.exc_info[1])
