"""Where the daemon stands: the stacks of its threads and tasks, on request or at SIGUSR1 (as dockerd has it), without its values.

A daemon whose loop hangs cannot walk through its tasks. So the signal has two takers: the C handler of `faulthandler` writes the
threads' stacks at once, whatever they do, and the loop adds the tasks' when it comes to it.
"""

import asyncio
import faulthandler
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import CodeType

_log = logging.getLogger("sampan.daemon")
FILE = "stacks.log"
"""In the exec-root, root's alone."""
_LARGEST = 1 << 20
"""Bytes of earlier dumps that are kept beside the last."""
_MOST_TASKS = 2000
_DEEPEST = 100


def text() -> str:
    """All threads and tasks of this process, now; called on the event loop."""
    return "\n".join([*_threads(), *_tasks(), ""])


def _threads() -> Iterator[str]:
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    for ident, frame in sys._current_frames().items():
        yield f"Thread {names.get(ident, ident)} (most recent call first):"
        at = frame
        while at is not None:
            yield _place(at.f_code, at.f_lineno)
            if at.f_back is None:
                break
            at = at.f_back


def _tasks() -> Iterator[str]:
    tasks = asyncio.all_tasks()
    yield f"{len(tasks)} tasks"
    for task in list(tasks)[:_MOST_TASKS]:
        yield f"Task {getattr(task.get_coro(), '__qualname__', '?')} (most recent call last):"
        yield from _awaited(task.get_coro())


def _awaited(outermost: object) -> Iterator[str]:
    """Where each coroutine stands that the one before it waits for; `Task.get_stack` tells of the first alone."""
    at: object = outermost
    for _ in range(_DEEPEST):
        kind = next((kind for kind in ("cr", "ag", "gi") if hasattr(at, f"{kind}_frame")), None)
        frame = getattr(at, f"{kind}_frame") if kind else None
        if frame is None:
            return
        yield _place(frame.f_code, frame.f_lineno)
        at = getattr(at, "gi_yieldfrom" if kind == "gi" else f"{kind}_await")


def _place(code: CodeType, line: int) -> str:
    return f'  File "{code.co_filename}", line {line} in {code.co_name}'


def dump_at_signal(exec_root: Path) -> None:
    """From now on SIGUSR1 has the stacks written to `FILE`. On the event loop, once; before it the signal would end the daemon."""
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(exec_root / FILE, flags, 0o600)
    size = 0

    def add_tasks() -> None:
        nonlocal size
        if size > _LARGEST:
            last = os.pread(descriptor, _LARGEST, size)
            os.ftruncate(descriptor, 0)
            os.write(descriptor, last)
        os.write(descriptor, "\n".join([*_tasks(), time.strftime("-- %Y-%m-%dT%H:%M:%SZ", time.gmtime()), ""]).encode())
        size = os.fstat(descriptor).st_size
        _log.info("stacks of threads and tasks are written to %s", exec_root / FILE)

    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, add_tasks)
    # Behind the loop's handler, which it calls when it has written.
    faulthandler.register(signal.SIGUSR1, file=descriptor, all_threads=True, chain=True)
