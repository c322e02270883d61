"""Blobs that come in more than one go: a transfer that broke, or whose daemon was killed, goes on where it was.

Partials.open(digest, size) ──▶ ingest/partial-HEX ── write, write, … ──▶ commit: whole and right ──▶ blobs/sha256/HEX
                                       ▲        └── close: stays, for the next `open` of the same digest
                                       └── `offset` bytes are there already, and are hashed again before more come

Nothing is believed of a partial but its digest: what is there after a power cut may be wrong, and then the digest of the
whole is wrong, the bytes go, and the next transfer begins anew.
"""

import contextlib
import hashlib
import os
import stat
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from sampan.errors import Conflict, InvalidParameter
from sampan.files.writing import write_all
from sampan.spec.ids import Digest, parse_digest

PREFIX = "partial-"
COUNT_LIMIT = 64
"""Partials that may wait to be gone on with; beyond that the one that was written to longest ago goes."""
BYTES_LIMIT = 16 << 30
"""Bytes that they may take together."""
AGE_LIMIT = 7 * 24 * 3600
"""Seconds after which nobody is expected to come back for one."""
_CHUNK = 1 << 20


class DigestMismatch(InvalidParameter):
    """The bytes are not those that were announced."""


class PartialBusy(Conflict):
    """Somebody else in this daemon brings the same blob, and did not end in time."""


class ContentTruncated(InvalidParameter):
    """Fewer bytes came than were announced; what came is kept."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """One partial that nobody writes to. `changed` is in seconds since the epoch."""

    digest: Digest
    size: int
    changed: float


class Partial:
    """One blob on its way in. For one thread at a time; a context manager that closes (and keeps what came)."""

    def __init__(self, owner: "Partials", digest: Digest, size: int, path: Path) -> None:
        """Made by `Partials.open` only. Raises OSError."""
        self.digest = digest
        self.size = size
        """Bytes that the whole has."""
        self._owner = owner
        self._path = path
        self._hash = hashlib.sha256()
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
        try:
            self.offset = self._rehash()
        except BaseException:
            os.close(self._descriptor)
            raise
        self.resumed = self.offset > 0
        """Whether bytes of an earlier transfer are among these: a wrong digest may then be their fault."""

    def _rehash(self) -> int:
        status = os.fstat(self._descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(f"{self._path} is no regular file")
        if status.st_size > self.size:
            os.ftruncate(self._descriptor, 0)
            return 0
        while chunk := os.read(self._descriptor, _CHUNK):
            self._hash.update(chunk)
        return os.lseek(self._descriptor, 0, os.SEEK_CUR)

    def write(self, data: bytes | memoryview) -> None:
        """Append. Raises InvalidParameter where it becomes longer than announced (all goes then), OSError."""
        if self.offset + len(data) > self.size:
            self.restart()
            raise InvalidParameter(f"content {self.digest} is longer than {self.size} bytes")
        try:
            write_all(self._descriptor, data)
        except BaseException:
            # Some of it may be written, and not hashed: back to what both know.
            os.ftruncate(self._descriptor, self.offset)
            os.lseek(self._descriptor, self.offset, os.SEEK_SET)
            raise
        self._hash.update(data)
        self.offset += len(data)

    def restart(self) -> None:
        """Drop all that came, and begin at byte 0."""
        os.ftruncate(self._descriptor, 0)
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        self._hash = hashlib.sha256()
        self.offset, self.resumed = 0, False

    def commit(self, claim: Callable[[Digest], None] | None = None) -> None:
        """Verify, and make it a blob of the store (durable after `Content.sync`). `claim` as in `Content.ingest`.

        Raises ContentTruncated where bytes are missing (they can still be written), DigestMismatch where they are wrong: all
        is dropped then, and a writer that `resumed` may write it once more from byte 0. Raises OSError.
        """
        if self.offset < self.size:
            raise ContentTruncated(f"content {self.digest} ended after {self.offset} of {self.size} bytes")
        found = Digest(f"sha256:{self._hash.hexdigest()}")
        if found != self.digest:
            self.restart()
            raise DigestMismatch(f"content has the digest {found}, {self.digest} was expected")
        if claim is not None:
            claim(self.digest)
        self._owner.publish(self._path, self.digest)
        self.close()

    def close(self) -> None:
        """End. What came and was not committed waits for the next `open`. Calling it again does nothing."""
        if self._descriptor < 0:
            return
        os.close(self._descriptor)
        self._descriptor = -1
        self._owner.closed(self.digest, keep=self.offset > 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Partials:
    """The partials of one content store. Any thread may call."""

    def __init__(self, directory: Path, blobs: Path) -> None:
        """Those in `directory`, an existing one; whole ones are renamed into `blobs`. What is too old or too much goes."""
        self._directory = directory
        self._blobs = blobs
        self._open: set[Digest] = set()
        self._changed = threading.Condition()
        self.trim()

    def open(self, digest: Digest, size: int, wait: float = 0.0) -> Partial:
        """The writer of the blob `digest` of `size` bytes, at what came of it before.

        Only one at a time: raises PartialBusy where another one is not closed within `wait` seconds. Whoever waited asks
        the store first whether the blob is there now. Raises InvalidParameter for no digest or a negative size, OSError.
        """
        checked = parse_digest(digest)
        if size < 0:
            raise InvalidParameter(f"content {digest} cannot have {size} bytes")
        with self._changed:
            if not self._changed.wait_for(lambda: checked not in self._open, wait):
                raise PartialBusy(f"content {digest} is being transferred by another operation")
            self._open.add(checked)
        try:
            return Partial(self, checked, size, self._path(checked))
        except BaseException:
            self.closed(checked, keep=True)
            raise

    def waiting(self) -> list[Waiting]:
        """Those that nobody writes to, the one that was written to longest ago first."""
        found = []
        with self._changed, os.scandir(self._directory) as entries:
            for entry in entries:
                digest = partial_name(entry.name)
                if digest is None or digest in self._open:
                    continue
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                found.append(Waiting(digest, status.st_size, status.st_mtime))
        return sorted(found, key=lambda waiting: waiting.changed)

    def discard(self, digest: Digest) -> None:
        """Drop one that nobody writes to; nothing happens where there is none, or where somebody does."""
        with self._changed:
            if digest not in self._open:
                self._path(digest).unlink(missing_ok=True)

    def trim(self) -> None:
        """Drop what is too old, and the oldest of what is too much."""
        waiting = self.waiting()
        total = sum(one.size for one in waiting)
        oldest = time.time() - AGE_LIMIT
        for index, one in enumerate(waiting):
            if one.changed >= oldest and total <= BYTES_LIMIT and len(waiting) - index <= COUNT_LIMIT:
                return
            self.discard(one.digest)
            total -= one.size

    def publish(self, path: Path, digest: Digest) -> None:
        """For `Partial.commit`: the file is whole and right."""
        os.rename(path, self._blob(digest))

    def closed(self, digest: Digest, keep: bool) -> None:
        """For `Partial.close`: another may write it now."""
        with self._changed:
            if not keep or self._blob(digest).exists():  # which came another way meanwhile
                with contextlib.suppress(OSError):
                    self._path(digest).unlink(missing_ok=True)
            self._open.discard(digest)
            self._changed.notify_all()
        self.trim()

    def _blob(self, digest: Digest) -> Path:
        return self._blobs / digest.removeprefix("sha256:")

    def _path(self, digest: Digest) -> Path:
        return self._directory / f"{PREFIX}{parse_digest(digest).removeprefix('sha256:')}"


def partial_name(name: str) -> Digest | None:
    """The digest that a file in `ingest/` is a partial of; None for other files."""
    if not name.startswith(PREFIX):
        return None
    try:
        return parse_digest(f"sha256:{name.removeprefix(PREFIX)}")
    except InvalidParameter:
        return None
