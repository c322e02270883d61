"""The daemon's side of followers: asks the launcher for them, bounds their number, and hears when they are gone."""

import asyncio
import logging
import os
from collections.abc import Callable

from sampan.runtime import plan
from sampan.runtime.launcher_port import LauncherPort
from sampan.runtime.messages import DESCRIPTOR_LIMIT, Kind
from sampan.runtime.monitored import Monitored
from sampan.runtime.request import FollowRequest
from sampan.runtime.start_failure import StartFailed
from sampan.telemetry import request_id

_log = logging.getLogger("sampan.runtime")
_MOST = 256
"""Beyond it the daemon serves clients itself: each follower is a process of one to two megabytes."""
_OTHERS = 3
"""Descriptors beside the log's files."""


class Followers:
    """Those that this daemon has asked for. They outlive it; the next one knows nothing of them and need not."""

    def __init__(self, launcher: LauncherPort) -> None:
        self._launcher = launcher
        self._pidfds: set[int] = set()

    async def begin(self, monitored: Monitored, request: FollowRequest, gone: Callable[[], None]) -> bool:
        """See `port.Runtime.follow`."""
        if len(self._pidfds) >= _MOST or len(request.files) + _OTHERS > DESCRIPTOR_LIMIT:
            return False
        program, monitor = monitored.pidfds()
        if program < 0 or monitor < 0:
            return False
        body = plan.follow(request, monitored.id, monitored.directory, (monitored.pid, monitored.pid_start))
        body["request_id"] = request_id.current()
        try:
            pidfd = await self._launcher.fork(
                Kind.FOLLOW, body, [request.sock.fileno(), program, monitor, *request.files]
            )
        except StartFailed as failed:
            _log.warning("no follower for %s: %s", monitored.id[:12], failed)
            return False
        self._watch(pidfd, gone)
        return True

    def _watch(self, pidfd: int, gone: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        self._pidfds.add(pidfd)

        def readable() -> None:
            loop.remove_reader(pidfd)
            self._pidfds.discard(pidfd)
            os.close(pidfd)
            gone()

        loop.add_reader(pidfd, readable)

    def let_go(self) -> None:
        """Hear of them no more; they go on."""
        loop = asyncio.get_running_loop()
        for pidfd in self._pidfds:
            loop.remove_reader(pidfd)
            os.close(pidfd)
        self._pidfds.clear()
