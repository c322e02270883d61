"""What every child of the launcher does first: it is none any more.

Loaded by the launcher.
"""

from __future__ import annotations

import signal

from sampan.kernel.process import close_all_but


def stand_alone(descriptors: list[int], *ignored: int) -> None:
    """Keep nothing that is the launcher's but `descriptors`; signals of a terminal, and `ignored` ones, are not for it."""
    for number in (signal.SIGINT, signal.SIGHUP, *ignored):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.set_wakeup_fd(-1)
    close_all_but(descriptors)
