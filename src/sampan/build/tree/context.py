"""The build's context: the files that the client sent, asked for by the paths that COPY and ADD name."""

import errno
import os
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import BinaryIO, Self

from sampan.build.tree import arrival, digest
from sampan.build.tree.from_archive import archive_tops
from sampan.build.tree.index import Index, Node
from sampan.build.tree.selection import Wanted
from sampan.build.tree.source import Origin, SourceTree, Top
from sampan.build.tree.unpacking import Unpacking
from sampan.dockerfile.ignore import BadIgnore, Ignore, read_patterns
from sampan.errors import InvalidParameter
from sampan.files import tar_reader as tar

DOCKERFILE = "Dockerfile"
_LISTED = 10_000
"""files that are named one by one; of more it is told only that they changed"""
TEXT_LIMIT = 4 << 20
"""bytes of a Dockerfile or an ignore file"""
_IGNORE = ".dockerignore"


Members = tuple[Sequence[str], Sequence[str], bool]
"""Paths, excludes and parents, as a ContextSource has them."""


class BadContext(InvalidParameter):
    """The context is no archive, or lacks its Dockerfile."""


class ContextTree:
    """What a step takes of a context. COPY takes it out of the archive; it becomes a directory only where one is asked for."""

    def __init__(self, index: Index, spool: int, unpacking: Unpacking, members: Members) -> None:
        self.label = "context"
        self.origin = Origin.CONTEXT
        self.file = ""
        self._index = index
        self._spool = spool
        self._unpacking = unpacking
        self._members = members

    def tops(self, wanted: Wanted) -> Iterator[Top]:
        """See `SourceTree`."""
        return archive_tops(self._index, self._spool, wanted)

    def directory(self) -> int:
        """See `SourceTree`; in it are at least the files that were asked for."""
        self._unpacking.want(*self._members)
        return self._unpacking.directory


class Context:
    """A context in a directory of the store. Any thread may use it; close it when the build has ended."""

    def __init__(self, index: Index, spool: int, directory: int) -> None:
        """Takes over both descriptors."""
        self._index = index
        self._spool = spool
        self._directory = directory
        self._unpacking = Unpacking(index, spool, directory)

    def digest(self, paths: Sequence[str], excludes: Sequence[str] = (), parents: bool = False) -> str:
        """The content digest, `sha256:…`, of exactly the files that a COPY or ADD with these paths takes.

        Nothing is read from the disk. Raises SourceMissing, BadSelection.
        """
        return digest.digest(self._index, paths, excludes, parents)

    def listing(
        self, paths: Sequence[str], excludes: Sequence[str] = (), parents: bool = False, most: int = _LISTED
    ) -> dict[str, str]:
        """A digest for each file of such a selection by its path, so that what changed can be named; {} beyond `most` files."""
        return digest.listing(self._index, paths, excludes, parents, most)

    def tree(self, paths: Sequence[str] = (".",), excludes: Sequence[str] = (), parents: bool = False) -> SourceTree:
        """The context as a source of at least these files; everything by default. Good until `close`."""
        return ContextTree(self._index, self._spool, self._unpacking, (paths, excludes, parents))

    def read(self, path: str, limit: int = TEXT_LIMIT) -> bytes:
        """A file's content, links followed inside the context. Raises OSError, EFBIG beyond `limit` bytes, EINVAL for no file."""
        node = self._index.find(os.fsencode(path))
        if node.children is not None:
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        if node.kind != tar.FILE or node.regions is not None:
            raise OSError(errno.EINVAL, "not a regular file", path)
        if node.size > limit:
            raise OSError(errno.EFBIG, f"larger than {limit} bytes", path)
        return os.pread(self._spool, node.size, node.offset)

    def node(self, path: str) -> Node:
        """What lies at `path`, links followed inside the context. Raises OSError."""
        return self._index.find(os.fsencode(path))

    def dockerfile(self, name: str = DOCKERFILE) -> tuple[str, str]:
        """The Dockerfile's path as it was found, and its text; as Docker's daemon finds it. Raises BadContext.

        Without one of the default name, `dockerfile` is taken. The file and `.dockerignore` are taken out of the context
        where its ignore patterns say so: clients send both always.
        """
        try:
            content = self.read(name)
        except (FileNotFoundError, NotADirectoryError) as error:
            if name == DOCKERFILE and self._has(name.lower()):
                return self.dockerfile(name.lower())
            raise BadContext(f"Cannot locate specified Dockerfile: {name}") from error
        except OSError as error:
            raise BadContext(f"unexpected error reading Dockerfile: read {name}: {_told(error)}") from error
        if not content:
            raise BadContext(f"the Dockerfile ({name}) cannot be empty")
        self._take_out(name)
        return name, content.decode("utf-8", "surrogateescape")

    def _has(self, path: str) -> bool:
        try:
            self._index.find(os.fsencode(path))
        except OSError:
            return False
        return True

    def _take_out(self, dockerfile: str) -> None:
        own = f"{dockerfile}{_IGNORE}"
        source = own if self._has(own) else _IGNORE
        try:
            text = self.read(source).decode("utf-8", "surrogateescape")
            ignore = Ignore(read_patterns(text))
        except FileNotFoundError:
            return
        except (OSError, BadIgnore) as error:
            why = _told(error) if isinstance(error, OSError) else str(error)
            raise BadContext(f"error reading {source}: {why}") from error
        for path in (_IGNORE, own, dockerfile):
            clean = os.path.normpath(path)
            if ignore.ignores(clean):
                self._index.remove(os.fsencode(clean))

    def arrival(self) -> "Arrival":
        """What arrived, to be built from again; to be called before anything is taken out."""
        return Arrival(self._index.copied(), os.dup(self._spool))

    def apart(self, path: str, into: int) -> "Context":
        """The directory `path` as a context of its own, kept below `into`, an empty directory; it is in this one no more.

        One with nothing in it where there is no such directory. The result is closed for itself.
        """
        index = Index()
        try:
            node = self._index.find(os.fsencode(path), follow=False)
        except OSError:
            node = index.root
        if node.children is not None and node is not index.root:
            self._index.remove(os.fsencode(path))
            index = Index(node)
        directory = _new_directory(into)
        return Context(index, os.dup(self._spool), directory)

    def close(self) -> None:
        """Let go of the files; the directory is the caller's to remove. Trees that were given out are of no use any more."""
        for descriptor in (self._spool, self._directory):
            os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Arrival:
    """A context as it arrived: its index and its archive, which has no name. Any thread may use it."""

    def __init__(self, index: Index, spool: int) -> None:
        """Takes over the descriptor."""
        self._index = index
        self._spool = spool

    @property
    def entries(self) -> int:
        """How many there are, which is what it takes of the memory."""
        return self._index.entries

    @property
    def size(self) -> int:
        """Bytes of the archive."""
        return os.fstat(self._spool).st_size

    def context(self, into: int) -> Context:
        """A context of the same files, kept below the empty directory `into`. Raises OSError."""
        return Context(self._index.copied(), os.dup(self._spool), _new_directory(into))

    def close(self) -> None:
        """Let go of the archive."""
        os.close(self._spool)


def _told(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def unpack_context(stream: BinaryIO, into: int) -> Context:
    """The context that arrives as a tar, compressed or not, kept below `into`: an empty directory, which the caller removes.

    `stream.read(n)` returns n bytes unless it ends; it is read to its end. Raises BadArchive, BadPath, and OSError: the stream's,
    or the host's (ENOSPC). After an error nothing is open; what is below `into` is to be thrown away.
    """
    spool = os.open(b"archive", os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=into)
    try:
        # Without a name it goes with the last descriptor, whatever ends the daemon.
        os.unlink(b"archive", dir_fd=into)
        index = arrival.receive(stream, spool)
        return Context(index, spool, _new_directory(into))
    except BaseException:
        os.close(spool)
        raise


def empty_context(into: int) -> Context:
    """A context with nothing in it: of a build whose Dockerfile came alone."""
    spool = os.open(b"archive", os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=into)
    return indexed_context(Index(), spool, into)


def indexed_context(index: Index, spool: int, into: int) -> Context:
    """A context of what the index says lies in the file `spool` (taken over), kept below `into`, which is empty."""
    return Context(index, spool, _new_directory(into))


def _new_directory(into: int) -> int:
    os.mkdir(b"tree", 0o700, dir_fd=into)
    return os.open(b"tree", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=into)
