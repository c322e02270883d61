"""Registries' answers, heads and bodies: a search, everything that is read of a repository, a context from a web address.

A case is answers one behind the other: a line with the status, lines of the head, an empty line, the body; MARK parts two.
"""

import contextlib
import functools
import io
import os
from collections.abc import Callable, Mapping
from typing import Any, cast

from urllib3 import HTTPHeaderDict, HTTPResponse
from urllib3.exceptions import HTTPError

from sampan.build.tree.git import Access
from sampan.build.tree.remote_context import fetch_context, fetch_told_by_content
from sampan.errors import SampanError
from sampan.files.remove import remove_tree
from sampan.registry.blobs import BlobStream
from sampan.registry.conversation import Conversation
from sampan.registry.faults import Unreachable
from sampan.registry.fetching import Fetcher
from sampan.registry.host import Host
from sampan.registry.hosts import Hosts
from sampan.registry.means import Means
from sampan.registry.protocol import Credentials
from sampan.registry.repository import Reading
from sampan.registry.search import search as search_registry
from sampan.registry.settings import Patience, Settings
from sampan.registry.tokens import Authorizer
from sampan.registry.transport import Answer, Body, Transport
from sampan.spec.ids import digest_of
from sampan.spec.oci_image import Descriptor
from tests.fuzzing.asking_files import directory

MARK = b"\n=====\n"
_PATIENCE = Patience(pause=0.0, longest_pause=0.0, attempts=1)
_PATIENT = Patience(pause=0.0, longest_pause=0.0, attempts=3)
"""For one case of sixteen: even a pause of no length lets everybody else go first."""
_SETTINGS = Settings(patience=_PATIENCE)
_HOSTS = Hosts(_SETTINGS)
_MOST = 1 << 16


class _Answers(Transport):
    """Says what a case says, in turn and again; whoever asks without an end has lost."""

    def __init__(self, case: bytes) -> None:
        super().__init__(_SETTINGS)
        self._said = [_parts(one) for one in case.split(MARK)]
        self.asked = 0
        self.patience = _PATIENCE if len(case) % 16 else _PATIENT

    def send(self, host: Host, method: str, url: str, headers: Mapping[str, str], body: Body = None) -> Answer:
        """The next answer. What is asked is what may be asked."""
        assert self.asked < 3000, "it asks without an end"
        assert url.lower().startswith((f"{host.scheme}://{host.address}".lower(),)), (host, url)
        assert not set("\r\n") & set(url), url
        assert all("\r" not in value and "\n" not in value for value in headers.values()), headers
        status, heads, said = self._said[self.asked % len(self._said)]
        self.asked += 1
        try:
            response = HTTPResponse(io.BytesIO(said), heads, status, preload_content=False, request_method=method)
        except HTTPError as error:
            # As `Transport` does: two lengths that differ are none.
            raise Unreachable(str(error), late=True) from error
        return Answer(response, f'{method} "{url}"', url, float("inf"))


def _parts(said: bytes) -> tuple[int, HTTPHeaderDict, bytes]:
    head, _, body = said.partition(b"\n\n")
    first, *lines = head.decode("latin-1").split("\n")
    heads = HTTPHeaderDict()
    for line in lines:
        name, colon, value = line.partition(":")
        if colon and name:
            # As http.client hands them over: no line ends within.
            heads.add(name, value.strip().replace("\r", ""))
    return (int(first) if first.isascii() and first.isdecimal() and len(first) == 3 else 200), heads, body


def _means(answers: _Answers) -> Means:
    return Means(answers, Authorizer(answers, _HOSTS), _HOSTS, answers.patience, set())


def search(case: bytes) -> None:
    """What a registry finds."""
    answers = _Answers(case)
    own = len(case) % 2
    credentials = Credentials("user", "password") if own else Credentials()
    with contextlib.suppress(SampanError):
        found = search_registry(_means(answers), "a.test/b" if own else "busybox", 25, credentials)
        assert len(found) <= 25
    assert answers.asked < 50


def repository(case: bytes) -> None:
    """Everything that is read of one: names, manifests, lists, blobs."""
    answers = _Answers(case)
    conversation = Conversation(_means(answers), Host("https", "a.test"), Credentials("user", "password"))
    read = Reading("a.test", "b/c", (conversation,), "pull", answers.patience)
    described = Descriptor(media_type="", digest=digest_of(b"hello"), size=5)
    asks: tuple[Callable[[], object], ...] = (
        lambda: read.resolve("latest"),
        lambda: read.manifest(described),
        lambda: _drained(read, described),
        lambda: read.has_blob(digest_of(b"hello")),
        lambda: list(read.referrers(digest_of(b"hello"), "x")),
        lambda: list(read.tags()),
    )
    # One of them, by the length: all six would take six times as long and reach nothing else.
    with contextlib.suppress(SampanError):
        asks[len(case) % len(asks)]()


def _drained(read: Reading, described: Descriptor) -> None:
    for offset in (0, 2):
        with read.blob(described, offset) as stream:
            assert isinstance(cast("Any", stream).raw, BlobStream)
            assert len(stream.read()) <= described.size


class _Fetcher(Fetcher):
    def __init__(self, answers: _Answers) -> None:
        super().__init__(_SETTINGS)
        self._transport = answers


def remote_context(case: bytes) -> None:
    """A context from the web: an archive, or a Dockerfile, told by the head or by what comes."""
    into, fetcher, url = _context(), _Fetcher(_Answers(case)), "http://a.test/x"
    try:
        with contextlib.suppress(SampanError):
            found = (
                fetch_context(url, into, fetcher, cast("Access", None))
                if len(case) % 2
                else fetch_told_by_content(url, into, fetcher)
            )
            with found.context:
                assert found.dockerfile is None or found.dockerfile
                with contextlib.suppress(SampanError):
                    found.context.dockerfile()
                with contextlib.suppress(SampanError):
                    found.context.digest((".",))
    finally:
        for name in os.listdir(into):
            remove_tree(into, os.fsencode(name))


@functools.cache
def _context() -> int:
    place = directory() / "context"
    place.mkdir()
    return os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
