"""The daemon's hold on its shipper (`logs.shipping`): started when there is something to ship, started again when it dies.

It is no child that must live with the daemon: a later daemon finds it by its lock.
"""

import asyncio
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import sampan
from sampan.logs.shipping.jobs import LOCK, read_jobs, unfinished

_log = logging.getLogger("sampan.runtime")
_PROGRAM = "import sys; sys.path.insert(0, sys.argv.pop()); from sampan.plugins.shipper import main; main()"
_AGAIN = 1.0
_PADDING = " " * 32


class ShipperPort:
    """One shipper at a time, for the jobs in `directory`, logs below `logs`, FIFOs below `fifos`. `environment` is all it gets."""

    def __init__(self, directory: Path, logs: Path, fifos: Sequence[Path], environment: dict[str, str]) -> None:
        self._directory = directory
        self._logs = logs
        self._fifos = fifos
        self._environment = environment
        self._pidfd = -1
        self._pid = 0
        self._closed = False

    def ensure(self) -> None:
        """See to it that a shipper runs. Called after a job was written, on the event loop."""
        if self._pidfd >= 0 or self._closed:
            return
        pid = self._running() or self._spawn()
        try:
            self._pidfd = os.pidfd_open(pid)
        except ProcessLookupError:
            asyncio.get_running_loop().call_later(_AGAIN, self._look)
            return
        self._pid = pid
        asyncio.get_running_loop().add_reader(self._pidfd, self._gone)

    def close(self) -> None:
        """Let go of it; it goes on."""
        self._closed = True
        self._unwatch()

    def _running(self) -> int:
        """The process id of a shipper that an earlier daemon started, 0 where there is none."""
        try:
            lock = os.open(self._directory / LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return 0
        try:
            os.lockf(lock, os.F_TLOCK, 0)
        except OSError:
            text = os.pread(lock, 32, 0)
            return int(text) if text.isdigit() else 0
        finally:
            # Which also gives back the lock.
            os.close(lock)
        return 0

    def _spawn(self) -> int:
        source = os.path.dirname(os.path.dirname(os.path.realpath(sampan.__file__)))
        places = (self._directory, self._logs, *self._fifos)
        return os.posix_spawn(
            sys.executable,
            [sys.executable, "-I", "-B", "-c", _PROGRAM, *map(str, places), _PADDING, source],
            self._environment,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0),
            ],
            setsid=True,
        )

    def _gone(self) -> None:
        self._unwatch()
        try:
            os.waitpid(self._pid, os.WNOHANG)
        except ChildProcessError:
            # An earlier daemon's.
            pass
        self._look()

    def _look(self) -> None:
        """It ends by itself when it has sent everything; where it has not, it died."""
        if self._closed:
            return
        try:
            left = any(unfinished(read_jobs(self._directory)))
        except FileNotFoundError:
            return
        if left:
            _log.warning("the shipper of logs is gone; starting another")
            asyncio.get_running_loop().call_later(_AGAIN, self.ensure)

    def _unwatch(self) -> None:
        if self._pidfd >= 0:
            asyncio.get_running_loop().remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1
