"""Contexts that the daemon fetches itself (`remote=` of the classic call): a git repository, an archive, a Dockerfile alone.

URL ──> git?  ──yes──> checked out, packed, a Context
        no ──> text/plain? ──yes──> a Dockerfile, with an empty Context       else ──> an archive, a Context
"""

import io
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, cast

from sampan.build.operations import GitSource
from sampan.build.tree.context import DOCKERFILE, TEXT_LIMIT, BadContext, Context, empty_context, unpack_context
from sampan.build.tree.git import Access, fetch_git, git_commit
from sampan.build.tree.remote import Watch, modified
from sampan.build.tree.single import single_file
from sampan.files.compression import is_compressed
from sampan.files.remove import remove_tree
from sampan.files.tar_reader import BLOCK, BadArchive, TarReader, Truncated
from sampan.files.tar_writer import END
from sampan.files.walk import walk
from sampan.registry.fetching import Fetched, Fetcher
from sampan.snapshots.difference import tar_entry

_ARCHIVE = re.compile(r"application/(?:(?:x-)?tar|octet-stream|(?:x-)?(?:gzip|bzip2?|xz|zstd))")
_TEXT = "text/plain"
_LOOKED_AT = BLOCK
_PIECE = 1 << 16
_GIT = re.compile(r"(?:(?:git|ssh)://|[\w.]+@[\w.-]+:|github\.com/|https?://[^#]+\.git(?:#|$))", re.ASCII)


@dataclass(frozen=True, slots=True)
class RemoteContext:
    """A context from elsewhere. `dockerfile`: its text, where that is all there was; then the context is empty."""

    context: Context
    dockerfile: str | None = None


def fetch_context(url: str, into: int, fetcher: Fetcher, access: Access, watch: Watch | None = None) -> RemoteContext:
    """The context that `url` names, kept below `into`: an empty directory, which the caller removes.

    Raises BadContext, BadArchive, BadGit, GitFailed, what `Fetcher.open` and `watch` raise, OSError, Cancelled.
    """
    if _GIT.match(url):
        return RemoteContext(checked_out(git_source(url), into, access))
    if not url.startswith(("http://", "https://")):
        raise BadContext(f"remoteURL ({url}) could not be recognized as URL")
    with fetcher.open(url) as answer:
        body = io.BufferedReader(_Body(answer, watch), _PIECE)
        text = _kind_of(url, answer, body.peek(_LOOKED_AT)[:_LOOKED_AT]) == _TEXT
        return _received(cast(BinaryIO, body), into, text, url)


def fetch_told_by_content(url: str, into: int, fetcher: Fetcher, watch: Watch | None = None) -> RemoteContext:
    """The same of a web address, as BuildKit has it: whatever begins like an archive is one, whatever the server calls it.

    Raises as `fetch_context` does.
    """
    with fetcher.open(url) as answer:
        return told_by_content(cast(BinaryIO, _Body(answer, watch)), into, url)


def told_by_content(body: BinaryIO, into: int, what: str) -> RemoteContext:
    """What comes in is an archive, or a Dockerfile alone. Raises BadContext, BadArchive, OSError."""
    buffered = io.BufferedReader(cast(io.RawIOBase, body), _PIECE)
    first = buffered.peek(_LOOKED_AT)[:_LOOKED_AT]
    return _received(cast(BinaryIO, buffered), into, not (is_compressed(first) or _is_tar(first)), what)


def _is_tar(first: bytes) -> bool:
    try:
        return len(first) == BLOCK and TarReader(io.BytesIO(first).read).next() is not None
    except Truncated:
        return True  # a good header, with more behind it
    except BadArchive:
        return False


def fetch_file(
    url: str, name: str, into: int, fetcher: Fetcher, watch: Watch | None = None, checksum: str = ""
) -> Context:
    """What is behind a web address as the one file `name` of a context.

    Raises what `Fetcher.open` and `single_file` raise.
    """
    with fetcher.open(url) as answer:
        body = cast(BinaryIO, io.BufferedReader(_Body(answer, watch), _PIECE))
        return single_file(body, name, into, modified(answer.headers), checksum)


def _received(body: BinaryIO, into: int, text: bool, what: str) -> RemoteContext:
    if not text:
        return RemoteContext(unpack_context(body, into))
    content = body.read(TEXT_LIMIT + 1)
    if len(content) > TEXT_LIMIT:
        raise BadContext(f"the Dockerfile at {what} is larger than {TEXT_LIMIT} bytes")
    if not content:
        raise BadContext(f"the Dockerfile ({DOCKERFILE}) cannot be empty")
    return RemoteContext(empty_context(into), content.decode("utf-8", "surrogateescape"))


def git_source(url: str) -> GitSource:
    """What a context's URL asks of git: `REPOSITORY#REFERENCE:DIRECTORY`."""
    repository, _, fragment = url.partition("#")
    reference, _, directory = fragment.partition(":")
    if repository.startswith("github.com/"):
        repository = f"https://{repository}"
    if ".." in directory.split("/"):
        raise BadContext(f"error setting git context, {directory!r} not within git root")
    return GitSource(repository=repository, reference=reference, directory=directory)


def checked_out(source: GitSource, into: int, access: Access) -> Context:
    """A commit's files as a context, kept below `into`, an empty directory. Raises as `git_commit` and `fetch_git` do."""
    os.mkdir(b"checkout", 0o700, dir_fd=into)
    place = os.open(b"checkout", os.O_RDONLY | os.O_DIRECTORY, dir_fd=into)
    try:
        tree = fetch_git(source, git_commit(source, access, place), access, place)
        try:
            context = unpack_context(cast(BinaryIO, io.BufferedReader(_Packed(tree.root), _PIECE)), into)
        finally:
            os.close(tree.root)
    finally:
        os.close(place)
    remove_tree(into, b"checkout")
    return context


def _kind_of(url: str, answer: Fetched, first: bytes) -> str:
    """The kind of content, told as Docker tells it: the header, unless that says nothing."""
    said = answer.headers.get("Content-Type", "").partition(";")[0].strip()
    if not first:
        raise BadContext(f"error detecting content type for remote {url}: empty response")
    if said in ("", "application/octet-stream"):
        return "application/octet-stream" if is_compressed(first) or _is_binary(first) else _TEXT
    if said == _TEXT or _ARCHIVE.match(said):
        return said
    raise BadContext(f'error detecting content type for remote {url}: unsupported Content-Type "{said}"')


def _is_binary(first: bytes) -> bool:
    """Whether there are bytes that no text has (WHATWG MIME Sniffing, "binary data byte")."""
    return any(byte < 0x20 and byte not in b"\t\n\x0c\r\x1b" for byte in first)


class _Body(io.RawIOBase):
    """What is fetched, as a stream."""

    def __init__(self, answer: Fetched, watch: Watch | None) -> None:
        self._answer = answer
        self._watch = watch
        self._done = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # Buffer is Python 3.12's
        piece = self._answer.read(len(buffer))
        while self._done == 0 and 0 < len(piece) < min(_LOOKED_AT, len(buffer)):
            # What is looked at comes at once, however small the server's pieces are.
            more = self._answer.read(len(buffer) - len(piece))
            if not more:
                break
            piece += more
        buffer[: len(piece)] = piece
        self._done += len(piece)
        if self._watch is not None:
            self._watch(self._done, self._answer.size)
        return len(piece)


class _Packed(io.RawIOBase):
    """A directory as the tar that a client would have sent of it."""

    def __init__(self, root: int) -> None:
        self._pieces = _pieces(root)
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # Buffer is Python 3.12's
        while not self._left:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._left = memoryview(piece)
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count


def _pieces(root: int) -> Iterator[bytes]:
    first_names: dict[tuple[int, int], bytes] = {}
    for path, parent, name, status in walk(root):
        yield from tar_entry(path, parent, name, status, first_names)
    yield END
