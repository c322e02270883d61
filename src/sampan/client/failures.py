"""What can go wrong between a client and its daemon.

SampanError
├── RefusedByDaemon    the daemon answered with a status of 400 or more; its message is the text
├── DaemonUnreachable  nobody listens at the address, or it did not answer in time
└── BrokenConversation what came back is not the HTTP or JSON that was agreed
"""

from __future__ import annotations

from sampan.errors import SampanError


class RefusedByDaemon(SampanError):
    """The daemon refused. `status` is the HTTP status, `message` its own words; `str()` has Docker's prefix."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"Error response from daemon: {message}")
        self.status = status
        self.message = message


class DaemonUnreachable(SampanError):
    """No daemon answers at the address. `silent` is true where something accepted the connection and said nothing."""

    def __init__(self, text: str, silent: bool = False) -> None:
        super().__init__(text)
        self.silent = silent


class BrokenConversation(SampanError):
    """The peer ended too early, or spoke something that is not HTTP/1.1 with Engine API bodies."""
