"""Sending a blob: a session, its bytes, and the digest that closes it.

    POST uploads/ ──▶ PATCH location (all of it) ──▶ PUT location?digest=…
                        │ cut ──▶ GET location ──▶ Range: 0-n ──▶ PATCH from n+1 on

Source: OCI distribution-spec 1.1, "Pushing a blob in chunks".
"""

import io
import logging
import re
import time
from collections.abc import Callable
from typing import BinaryIO
from urllib.parse import quote

from sampan.registry.conversation import Conversation, resolved, told_by
from sampan.registry.faults import Unreachable, Untrustworthy
from sampan.registry.settings import Patience
from sampan.registry.transport import Answer
from sampan.spec.ids import Digest

_log = logging.getLogger("sampan.registry")
_RANGE = re.compile(r"(?:bytes=)?0-(\d{1,18})")
_OCTETS = "application/octet-stream"


class Upload:
    """One session with a registry. Used by one thread."""

    def __init__(self, conversation: Conversation, scopes: tuple[str, ...], patience: Patience) -> None:
        self._conversation = conversation
        self._scopes = scopes
        self._patience = patience
        self._location = ""

    def begin(self, path: str) -> None:
        """Open the session for the repository `path`."""
        with self._ask("POST", f"/{path}/blobs/uploads/", {"Content-Length": "0"}, b"", (202,)) as answer:
            self.take(answer)

    def take(self, answer: Answer) -> None:
        """Go on where an answer says. Raises Untrustworthy where it does not."""
        location = answer.headers.get("Location", "")
        if not location:
            raise Untrustworthy(f"{answer.request}: the registry gave no place to upload to")
        self._location = resolved(answer.url, location)

    def send(self, size: int, reader: Callable[[int], BinaryIO], progress: Callable[[int], None]) -> None:
        """The bytes. A cut connection is taken up again as often as a request is tried."""
        offset, attempt = 0, 1
        while offset < size:
            try:
                self._patch(offset, size, reader, progress)
            except Unreachable as error:
                if not error.late or attempt >= self._patience.attempts:
                    raise
                _log.info("%s: asking how much has arrived", error)
                time.sleep(min(self._patience.pause * 2 ** (attempt - 1), self._patience.longest_pause))
                arrived = self._arrived(size)
                attempt = attempt + 1 if arrived <= offset else 1
                offset = arrived
                progress(offset)
            else:
                return

    def _patch(
        self, offset: int, size: int, reader: Callable[[int], BinaryIO], progress: Callable[[int], None]
    ) -> None:
        headers = {
            "Content-Type": _OCTETS,
            "Content-Length": str(size - offset),
            "Content-Range": f"{offset}-{size - 1}",
        }
        with reader(offset) as source:
            body = _Counted(source, size - offset, lambda sent: progress(offset + sent))
            answer = self._conversation.ask("PATCH", self._location, self._scopes, headers, body)
        if answer.status != 202:
            raise told_by(answer)
        with answer:
            self.take(answer)

    def _arrived(self, size: int) -> int:
        """How many bytes the registry has."""
        with self._ask("GET", self._location, {}, None, (204,)) as answer:
            self.take(answer)
            given = answer.headers.get("Range", "")
        match = _RANGE.fullmatch(given)
        if match is None:
            return 0
        # "0-0" is what a registry says of one byte, and what some say of none.
        arrived = int(match[1]) + 1 if match[1] != "0" else 0
        if arrived > size:
            raise Untrustworthy(f"{self._location}: the registry claims {arrived} bytes of a blob of {size}")
        return arrived

    def finish(self, digest: Digest) -> None:
        """Close the session: the blob is there when this returns."""
        url = f"{self._location}{'&' if '?' in self._location else '?'}digest={quote(digest, safe='')}"
        headers = {"Content-Length": "0", "Content-Type": _OCTETS}
        self._ask("PUT", url, headers, b"", (201, 204)).discard()

    def cancel(self) -> None:
        """Give the session up; a registry that does not know how forgets it in time."""
        self._conversation.ask("DELETE", self._location, self._scopes).discard()

    def _ask(
        self, method: str, url: str, headers: dict[str, str], body: bytes | None, expected: tuple[int, ...]
    ) -> Answer:
        return self._conversation.demand(method, url, self._scopes, headers, body, expected)


class _Counted(io.RawIOBase):
    """A blob's bytes on their way out: no more than were announced, and progress told."""

    def __init__(self, source: BinaryIO, size: int, progress: Callable[[int], None]) -> None:
        super().__init__()
        self._source = source
        self._size = size
        self._sent = 0
        self._progress = progress

    def readable(self) -> bool:
        """It is."""
        return True

    def read(self, size: int = -1) -> bytes:
        """The next bytes, b"" at the end."""
        left = self._size - self._sent
        data = self._source.read(left if size < 0 else min(size, left))
        self._sent += len(data)
        self._progress(self._sent)
        return data
