"""The daemon's own threads: one that gets no memory ends the daemon, whoever waits for it."""

from sampan.daemon.exhausted import end_if_exhausted
from sampan.threads import Threads as PlainThreads


class Threads(PlainThreads):
    """See `sampan.threads`."""

    def failed(self, error: BaseException) -> None:
        """Look at the error before anybody is told: what waits may be gone, or do no more."""
        end_if_exhausted(error)
