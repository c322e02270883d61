"""ADD of a URL: fetched through the daemon's proxies, checked, kept as one file.

A server is asked at most once whether something is still what it was (`ETag`), so that a build whose steps are all kept fetches
nothing. As BuildKit's HTTP source and the classic builder have it: mode 0600, the time of `Last-Modified` or 1970.
"""

import hashlib
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.message import Message
from email.utils import parsedate_to_datetime
from urllib.parse import unquote, urlsplit

from sampan.build.operations import UrlSource
from sampan.build.tree.room import Room
from sampan.build.tree.source import DirectoryTree, Origin
from sampan.errors import InvalidParameter, SampanError
from sampan.files.paths import BadPath, check_component
from sampan.files.writing import write_all
from sampan.registry.fetching import Fetched, Fetcher

URL_LIMIT = 64 << 30
"""bytes of one file"""
UNNAMED = "__unnamed__"
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
_MODE = 0o600
_PIECE = 1 << 20
_REMEMBERED = 1000
_LONGEST_TAG = 1024
_LAST_SECOND = 1 << 33

Watch = Callable[[int, int], None]
"""Hears how many bytes have come, and how many there are (0: not known). What it raises ends the fetching."""


class Mismatch(InvalidParameter):
    """What was fetched is not what the checksum says."""


@dataclass(frozen=True, slots=True)
class FetchedUrl:
    """A tree of one file. `content`: what its key stands on."""

    tree: DirectoryTree
    content: str


class Remembered:
    """What URLs held when they were fetched last, by the tag that their servers gave it. Any thread may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[str, tuple[str, str]] = OrderedDict()

    def find(self, url: str) -> tuple[str, str] | None:
        """Tag and content."""
        with self._lock:
            return self._known.get(url)

    def keep(self, url: str, tag: str, content: str) -> None:
        """Remember it; without a tag forget what was known."""
        with self._lock:
            self._known.pop(url, None)
            if 0 < len(tag) <= _LONGEST_TAG:
                self._known[url] = (tag, content)
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)


def url_content(source: UrlSource, fetcher: Fetcher, remembered: Remembered) -> str | None:
    """What the source's key stands on, where that can be told without fetching: None where it cannot."""
    if source.checksum:
        return source.checksum
    known = remembered.find(source.url)
    if known is None:
        return None
    tag, content = known
    try:
        # By HEAD and by comparing: there are servers that give tags and answer everything with 200.
        with fetcher.open(source.url, "HEAD", {"If-None-Match": tag}) as answer:
            given = answer.headers.get("ETag", "")
            return content if given == tag or (answer.unchanged and not given) else None
    except SampanError:
        return None  # whoever fetches it hears why


def fetch_url(
    source: UrlSource, into: int, fetcher: Fetcher, remembered: Remembered | None = None, watch: Watch | None = None
) -> FetchedUrl:
    """The file behind the URL, in the empty directory `into`, a descriptor that becomes the tree's root.

    Raises Mismatch, TooLarge, what `Fetcher.open` raises, OSError (ENOSPC), what `watch` raises.
    """
    with fetcher.open(source.url) as answer:
        name = file_name(source.url, answer.headers)
        descriptor = os.open(os.fsencode(name), _NEW, _MODE, dir_fd=into)
        try:
            digest = _received(source, answer, descriptor, watch)
            moment = modified(answer.headers)
            os.fchmod(descriptor, _MODE)
            os.utime(descriptor, ns=(moment, moment))
        finally:
            os.close(descriptor)
        tag = answer.headers.get("ETag", "")
    if source.checksum and digest != source.checksum:
        raise Mismatch(f"digest mismatch for {source.url}: {digest} (expected: {source.checksum})")
    content = source.checksum or _content(digest, name, moment)
    if remembered is not None and not source.checksum:
        remembered.keep(source.url, tag, content)
    return FetchedUrl(DirectoryTree(into, source.url, Origin.URL, name), content)


def _received(source: UrlSource, answer: Fetched, descriptor: int, watch: Watch | None) -> str:
    hashed = hashlib.sha256()
    room = Room(descriptor, URL_LIMIT, source.url)
    done = 0
    while piece := answer.read(_PIECE):
        done += len(piece)
        room.take(len(piece))
        hashed.update(piece)
        write_all(descriptor, piece)
        if watch is not None:
            watch(done, answer.size)
    return "sha256:" + hashed.hexdigest()


def _content(digest: str, name: str, moment: int) -> str:
    return "sha256:" + hashlib.sha256(f"{digest} {moment} {name}".encode("utf-8", "surrogateescape")).hexdigest()


def file_name(url: str, headers: Mapping[str, str]) -> str:
    """What the file is called in a directory: the end of the URL's path, else what the server calls it, else `__unnamed__`."""
    path = unquote(urlsplit(url).path, errors="surrogateescape")
    return _safe(path.rstrip("/")) or _safe(_disposition(headers.get("Content-Disposition", ""))) or UNNAMED


def _safe(path: str) -> str:
    name = path.rpartition("/")[2]
    try:
        check_component(os.fsencode(name))
    except (BadPath, UnicodeEncodeError):
        return ""
    return name if len(os.fsencode(name)) <= 255 else ""


def _disposition(header: str) -> str:
    if not header:
        return ""
    message = Message()
    message["Content-Disposition"] = header
    return message.get_filename("") or ""


def modified(headers: Mapping[str, str]) -> int:
    """Nanoseconds of `Last-Modified`; 0 where it is missing or none."""
    try:
        seconds = int(parsedate_to_datetime(headers.get("Last-Modified", "")).timestamp())
    except (ValueError, TypeError, OverflowError):
        return 0
    return seconds * 1_000_000_000 if 0 <= seconds < _LAST_SECOND else 0
