"""Everybody may look; only who is named in `writers` (a file in the driver's home, a name a line) may change anything.

Names are those of TLS certificates. A client at the socket has none, and is root by Docker's own rule: it may look, too.
"""

from pathlib import Path

from sampan.drivers.authorization import AuthorizationDriver, Request, Response, Verdict

_LOOKING = ("GET", "HEAD")


class ReadOnly(AuthorizationDriver):
    """Reads the file for each request, so that changes need no restart."""

    def __init__(self, home: Path) -> None:
        self._writers = home / "writers"

    def request(self, request: Request) -> Verdict:
        """By method, and then by name."""
        if request.method in _LOOKING or request.user in self._names():
            return Verdict(allow=True)
        who = request.user or "a client without a certificate"
        return Verdict(allow=False, message=f"{who} may look and not {request.method} {request.uri.partition('?')[0]}")

    def response(self, request: Request, response: Response) -> Verdict:
        """What was let in may come out."""
        return Verdict(allow=True)

    def _names(self) -> set[str]:
        try:
            return {line.strip() for line in self._writers.read_text().splitlines()} - {""}
        except FileNotFoundError:
            return set()
