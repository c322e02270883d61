"""An image archive taken in: every member of the tar becomes content by digest as it streams by, names are only a table.

No member is ever written under its own name, links are looked up in the table, and documents are bounded: what the archive
calls its parts reaches no path (CVE-2014-9358, CVE-2018-8115's family).
"""

from functools import partial
from typing import BinaryIO

from sampan.content.store import Content
from sampan.files import tar_reader as tar
from sampan.files.compression import decompressed
from sampan.files.paths import BadPath, clean, shown, split
from sampan.files.tar_reader import BadArchive
from sampan.images.ahead import Ahead
from sampan.images.leases import Lease
from sampan.spec.ids import Digest, parse_digest
from sampan.spec.oci_image import MANIFEST_LIMIT

_MEMBERS = 100_000
_HOPS = 40
_BLOB_LIMIT = 256 << 30
_BLOBS = b"blobs/sha256/"
_DOCUMENTS = (b"manifest.json", b"index.json", b"oci-layout", b"repositories")


class Archive:
    """The members of one archive, by name. Their content lies in the store, held by the lease."""

    def __init__(self, content: Content, lease: Lease, ahead: Ahead) -> None:
        """`ahead` hears of each blob that begins to come, and as soon as it is in the store."""
        self._ahead = ahead
        self._content = content
        self._lease = lease
        self._blobs: dict[bytes, tuple[Digest, int]] = {}
        self._links: dict[bytes, bytes] = {}
        self._documents: dict[bytes, bytes] = {}

    def read(self, stream: BinaryIO) -> None:
        """Take in all of `stream`, compressed or not. Raises BadArchive, InvalidParameter (a wrong digest), OSError."""
        try:
            self._read(stream)
        except BadArchive as error:
            # Docker unpacks the archive in a program of its own, and its users know the message by this.
            raise BadArchive(f"Error processing tar file(exit status 1): {error}") from error

    def _read(self, stream: BinaryIO) -> None:
        source = decompressed(stream)
        reader = tar.TarReader(source.read)
        for entry in reader:
            if reader.entries > _MEMBERS:
                raise BadArchive(f"the archive has more than {_MEMBERS} members")
            try:
                self._take(entry, reader)
            except BadPath as error:
                raise BadArchive(str(error)) from error
        while source.read(1 << 20):
            pass

    def _take(self, entry: tar.Entry, reader: tar.TarReader) -> None:
        if entry.kind == tar.DIRECTORY:
            return
        name = clean(entry.name)
        if name in self._blobs or name in self._links or name in self._documents or not name:
            raise BadArchive(f"the archive has the member {shown(name)} twice")
        if entry.kind == tar.SYMLINK:
            self._links[name] = clean(entry.link if entry.link.startswith(b"/") else split(name)[0] + b"/" + entry.link)
        elif entry.kind == tar.HARD_LINK:
            self._links[name] = clean(entry.link)
        elif entry.kind != tar.FILE or entry.regions is not None:
            raise BadArchive(f"the member {shown(name)} is no plain file")
        elif name in _DOCUMENTS:
            if entry.size > MANIFEST_LIMIT:
                raise BadArchive(f"the member {shown(name)} is larger than {MANIFEST_LIMIT} bytes")
            parts = []
            while chunk := reader.read(1 << 20):
                parts.append(chunk)
            self._documents[name] = b"".join(parts)
        else:
            self._blob(name, entry.size, reader)

    def _blob(self, name: bytes, size: int, reader: tar.TarReader) -> None:
        expected = None
        if name.startswith(_BLOBS):
            expected = parse_digest("sha256:" + name[len(_BLOBS) :].decode("ascii", "replace"))
        along = partial(self._ahead.follow, size, expected)
        self._blobs[name] = self._content.ingest(reader.read, _BLOB_LIMIT, expected, self._lease.take, along)
        self._ahead.offer(self._blobs[name][0])

    def document(self, name: bytes) -> bytes | None:
        """One of the documents at the top, None where the archive has none."""
        return self._documents.get(name)

    def member(self, name: str) -> tuple[Digest, int]:
        """The content of a member, through links inside the archive. Raises BadArchive where there is none."""
        key = asked = clean(name.encode("utf-8", "surrogateescape"))
        for _ in range(_HOPS):
            if key in self._blobs:
                return self._blobs[key]
            if key not in self._links:
                break
            key = self._links[key]
        raise BadArchive(f"the archive has no member {shown(asked)}")

    def has(self, digest: str) -> bool:
        """Whether `blob` gives something."""
        try:
            self.blob(digest)
        except BadArchive:
            return False
        return True

    def blob(self, digest: str) -> Digest:
        """The blob of an OCI layout. Raises BadArchive where it is not in the archive, InvalidParameter for no digest."""
        checked = parse_digest(digest)
        self.member(f"blobs/sha256/{checked.removeprefix('sha256:')}")
        return checked
