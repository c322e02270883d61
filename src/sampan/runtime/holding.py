"""A child that does nothing but stand in a control group, because systemd takes an empty one away.

Loaded by the launcher.
"""

from __future__ import annotations

import os
import signal

from sampan.cgroups import scopes
from sampan.kernel.process import Prctl, prctl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


def hold(unit: str, properties: Sequence[Sequence[Any]]) -> int:
    """Start the scope `unit` (`scopes.start`) with a child in it, and return the child's pid. Raises OSError."""
    child = _child()
    try:
        scopes.start(unit, properties, child)
    except BaseException:
        let_go(child)
        raise
    return child


def let_go(child: int) -> None:
    """End the child: the scope lives on if something else stands in it."""
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def _child() -> int:
    own = os.getpid()
    child = os.fork()
    if child == 0:
        try:
            prctl(Prctl.SET_PDEATHSIG, signal.SIGKILL)
            while os.getppid() == own:
                signal.pause()
        finally:
            os._exit(0)
    return child
