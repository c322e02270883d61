"""The content store: `blobs/sha256/HEX`, written beside and renamed once the digest is known to be right.

ingest(stream) ──▶ ingest/TEMP, hashed as it is written ──▶ blobs/sha256/HEX      read along: `arriving.py`
partial(digest, size) ──▶ ingest/partial-HEX, see `partial.py` ──▶ blobs/sha256/HEX
                                                    (not durable yet: `sync` before a record names it)
"""

import hashlib
import io
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from sampan.content.arriving import Arriving
from sampan.content.partial import DigestMismatch, Partial, Partials, partial_name
from sampan.errors import InvalidParameter, NotFound
from sampan.files.atomic import make_directory, write_atomic
from sampan.files.remove import remove_tree
from sampan.files.trash import Trash
from sampan.files.writing import write_all
from sampan.kernel.sync import syncfs
from sampan.spec.ids import Digest, parse_digest

_CHUNK = 1 << 20
_TEMPORARY = re.compile("[0-9a-f]{24}")
_DAMAGED = 32
"""Damaged blobs that are kept for whoever wants to save something of them."""
_LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'


class Content:
    """Blobs of one data root. May be used from any thread; two that bring the same blob meet in one file."""

    def __init__(self, root: Path) -> None:
        """Open or make the store at `root` (its parent exists). What an interrupted ingest left is removed; partials stay."""
        self.root = make_directory(root)
        """read-only: where it lies"""
        make_directory(root / "blobs")
        self._blobs = make_directory(root / "blobs" / "sha256")
        self._ingest = make_directory(root / "ingest")
        if not (root / "oci-layout").exists():
            write_atomic(root / "oci-layout", _LAYOUT, 0o644)
        descriptor = os.open(self._ingest, os.O_RDONLY | os.O_DIRECTORY)
        try:
            for name in os.listdir(descriptor):
                if partial_name(name) is None:
                    remove_tree(descriptor, os.fsencode(name))
        finally:
            os.close(descriptor)
        self.partials = Partials(self._ingest, self._blobs)
        for waiting in self.partials.waiting():
            if self.has(waiting.digest):
                self.partials.discard(waiting.digest)
        self._damaged = make_directory(root / "damaged")
        self.trash = Trash(root / "trash")

    def has(self, digest: Digest) -> bool:
        """Whether the blob is there."""
        return self._path(digest).exists()

    def size(self, digest: Digest) -> int:
        """Bytes of the blob. Raises NotFound."""
        try:
            return self._path(digest).stat().st_size
        except FileNotFoundError as error:
            raise NotFound(f"content {digest}: not found") from error

    def open(self, digest: Digest) -> BinaryIO:
        """A buffered reader of the blob. Raises NotFound."""
        try:
            return open(self._path(digest), "rb", buffering=_CHUNK)
        except FileNotFoundError as error:
            raise NotFound(f"content {digest}: not found") from error

    def read(self, digest: Digest, limit: int) -> bytes:
        """The whole blob, verified again. Raises NotFound, InvalidParameter where it is longer than `limit` bytes."""
        if self.size(digest) > limit:
            raise InvalidParameter(f"content {digest} is longer than {limit} bytes")
        with self.open(digest) as stream:
            data = stream.read(limit + 1)
        if _digest(hashlib.sha256(data).hexdigest()) != digest:
            raise DigestMismatch(f"content {digest} was changed on the disk")
        return data

    def put(self, data: bytes, claim: Callable[[Digest], None] | None = None) -> Digest:
        """Take `data` in. `claim` as in `ingest`."""
        return self.ingest(io.BytesIO(data).read, len(data), claim=claim)[0]

    def ingest(
        self,
        read: Callable[[int], bytes],
        limit: int,
        expected: Digest | None = None,
        claim: Callable[[Digest], None] | None = None,
        along: Callable[[bytes, Path], Arriving | None] | None = None,
    ) -> tuple[Digest, int]:
        """Take in what `read(n)` gives until it returns b"": the digest, and the number of bytes.

        `claim` hears the digest before the blob is there, so that nobody collects it in between. `along` hears the first bytes
        and where they lie; the reader of that file which it may return is told how far the rest has come.
        Raises DigestMismatch where it is not `expected`, InvalidParameter beyond `limit` bytes, OSError (disk full), and
        whatever `read` raises; nothing is left behind then.
        """
        temporary = self._ingest / os.urandom(12).hex()
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            try:
                digest, size = _copy(read, descriptor, limit, temporary, along)
            finally:
                os.close(descriptor)
            if expected is not None and digest != expected:
                raise DigestMismatch(f"content has the digest {digest}, {expected} was expected")
            if claim is not None:
                claim(digest)
            os.rename(temporary, self._path(digest))
            # An interrupted transfer of the same blob has nothing to go on for.
            self.partials.discard(digest)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        return digest, size

    def partial(self, digest: Digest, size: int, wait: float = 0.0) -> Partial:
        """A writer of the blob `digest` that goes on where an earlier one broke off; see `Partials.open`.

        with content.partial(digest, size) as partial:
            …                                    # bytes from `partial.offset` on: partial.write(chunk)
            partial.commit(lease.take)
        """
        return self.partials.open(digest, size, wait)

    def sync(self) -> None:
        """Make everything that was taken in durable: before a record that names it is committed."""
        descriptor = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            syncfs(descriptor)
        finally:
            os.close(descriptor)

    def delete(self, digest: Digest) -> int:
        """Remove the blob: out of sight at once, its room is given back in the background. How many bytes that will be.

        Nothing happens where it is not there. Raises OSError.
        """
        path = self._path(digest)
        try:
            size = path.stat().st_size
        except FileNotFoundError:
            return 0
        self.trash.take(path, size)
        return size

    def list(self) -> Iterator[Digest]:
        """All blobs, in no order. Files that are called otherwise are not the store's: see `strays`."""
        yield from (digest for name in os.listdir(self._blobs) if (digest := _digest_of_name(name)) is not None)

    def strays(self) -> tuple[Path, ...]:
        """What lies among the blobs and is none, or where blobs come in and is none on its way; what cannot be deleted."""
        blobs = (self._blobs / name for name in os.listdir(self._blobs) if _digest_of_name(name) is None)
        coming = (
            self._ingest / name
            for name in os.listdir(self._ingest)
            if partial_name(name) is None and not _TEMPORARY.fullmatch(name)
        )
        return (*blobs, *coming, *self.trash.stuck())

    def throw_away(self, stray: Path) -> None:
        """Delete one of `strays` in the background. Raises OSError."""
        self.trash.take(stray)

    def quarantine(self, digest: Digest) -> None:
        """Move a damaged blob to `damaged/`, where nothing reads it. Only the latest few are kept there. Raises OSError."""
        try:
            os.rename(self._path(digest), self._damaged / digest.removeprefix("sha256:"))
        except FileNotFoundError:
            return
        kept = sorted(self._damaged.iterdir(), key=lambda path: path.stat().st_ctime_ns)
        for path in kept[:-_DAMAGED]:
            self.trash.take(path)

    def close(self) -> None:
        """End background work. What is left in the trash goes at the next start."""
        self.trash.close()

    def _path(self, digest: Digest) -> Path:
        # Parsed again: a digest that came out of a document by a cast would be a path.
        return self._blobs / parse_digest(digest).removeprefix("sha256:")


def _copy(
    read: Callable[[int], bytes],
    descriptor: int,
    limit: int,
    place: Path,
    along: Callable[[bytes, Path], Arriving | None] | None,
) -> tuple[Digest, int]:
    hashed = hashlib.sha256()
    size = 0
    reader: Arriving | None = None
    try:
        while chunk := read(_CHUNK):
            size += len(chunk)
            if size > limit:
                raise InvalidParameter(f"content is longer than {limit} bytes")
            write_all(descriptor, chunk)
            if along is not None and size == len(chunk):
                reader = along(chunk, place)
            if reader is not None:
                reader.advance(len(chunk))
            hashed.update(chunk)
    except BaseException:
        if reader is not None:
            reader.give_up()
        raise
    if reader is not None:
        reader.finish()
    return _digest(hashed.hexdigest()), size


def _digest(hexadecimal: str) -> Digest:
    return Digest(f"sha256:{hexadecimal}")


def _digest_of_name(name: str) -> Digest | None:
    try:
        return parse_digest(f"sha256:{name}")
    except InvalidParameter:
        return None
