"""Steps of init that bundles alone ask for; `making` adds them to init's own.

They run inside the container, after the pivot: nothing is imported here any more.
"""

import json
import os
import signal
import time
from collections.abc import Callable
from typing import Any, NoReturn

from sampan.kernel.mount import MS, mount_setattr
from sampan.runtime import init
from sampan.runtime.world import Context

PROPAGATION = {"private": MS.PRIVATE, "slave": MS.SLAVE, "shared": MS.SHARED, "unbindable": MS.UNBINDABLE}
LONGEST = 600
"""Seconds for a hook that names no time of its own."""
_SHOWN = 1000


def propagate(context: Context, word: str) -> None:
    """The root's propagation, where no pivot could be if it were set before (pivot_root(2))."""
    mount_setattr(context.root, propagation=PROPAGATION[word.removeprefix("r")], recursive=word.startswith("r"))


def start_hooks(context: Context, hooks: list[list[Any]], state: dict[str, Any]) -> None:
    """The container's own programs that run between `start` and its program, as its user and with its rights.

    `hooks` are `[path, arguments, environment, seconds]`; each reads the state on its input, with its own pid namespace's pid.
    """
    output = os.memfd_create("sampan-hooks")
    text = json.dumps({**state, "pid": os.getpid()}).encode()
    source = os.memfd_create("sampan-state")
    os.write(source, text)

    def run() -> str:
        for number, (path, arguments, environment, seconds) in enumerate(hooks):
            failed = _run(path, arguments, environment, seconds, source, output)
            if failed:
                return f"error running startContainer hook #{number}: {failed}"
        os.close(source)
        os.close(output)
        return ""

    context.at_start = run


def _run(path: str, arguments: list[str], environment: dict[str, str], seconds: int, source: int, output: int) -> str:
    """Why it failed; "" for a hook that did not."""
    ended = {signal.SIGCHLD}
    # Blocked before the fork, so that its end cannot fall between it and the wait.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ended)
    os.ftruncate(output, 0)
    child = os.fork()
    if child == 0:
        _be(path, arguments, environment, source, output)
    until = time.monotonic() + seconds
    try:
        while (left := until - time.monotonic()) > 0:
            signal.sigtimedwait(ended, left)
            pid, status = os.waitpid(child, os.WNOHANG)
            if pid:
                code = os.waitstatus_to_exitcode(status)
                said = os.pread(output, _SHOWN, 0).decode("utf-8", "replace").strip()
                return f"exit status {code}, output: {said}" if code else ""
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return f"{path}: timed out"
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _be(path: str, arguments: list[str], environment: dict[str, str], source: int, output: int) -> NoReturn:
    try:
        os.lseek(source, 0, os.SEEK_SET)
        for target, descriptor in enumerate((source, output, output)):
            os.dup2(descriptor, target, inheritable=True)
        init.signals_as_a_program_expects()
        os.execve(path, arguments or [path], environment)  # noqa: S606
    except OSError as error:
        os.write(2, f"{path}: {error.strerror}".encode())
    finally:
        os._exit(127)


STEPS: dict[str, tuple[str, Callable[..., None]]] = {
    "propagate": ("union file system", propagate),
    "start_hooks": ("runtime environment", start_hooks),
}
"""Name in a plan → principle and function."""
