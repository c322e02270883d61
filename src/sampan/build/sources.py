"""Where files come from that no step makes: images, the context, documents, URLs, git. What each is now, and its tree."""

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ParamSpec, TypeVar
from urllib.parse import urlsplit

from sampan.build.lookup import Lookup
from sampan.build.needs import Progress
from sampan.build.operations import (
    ContextSource,
    DocumentSource,
    EmptySource,
    GitSource,
    Graph,
    HostSource,
    ImageSource,
    Place,
    UrlSource,
)
from sampan.build.request import BuildRequest
from sampan.build.threads import Threads
from sampan.build.tree.context import Context
from sampan.build.tree.documents import write_documents
from sampan.build.tree.git import Access, fetch_git, git_commit
from sampan.build.tree.git_program import GitProgram
from sampan.build.tree.remote import FetchedUrl, Remembered, Watch, fetch_url, url_content
from sampan.build.trees import Tree, Trees
from sampan.errors import InvalidParameter, SampanError
from sampan.images import host
from sampan.images.steps import Cancellation
from sampan.registry.fetching import Fetcher

P = ParamSpec("P")
T = TypeVar("T")


_LISTED = 2000
"""Files of one COPY whose digests are kept, so that a miss can name those that changed."""


@dataclass(frozen=True, slots=True)
class Remote:
    """How a daemon's builds fetch: `remembered` is what URLs held, `git` the host's program."""

    fetcher: Fetcher
    remembered: Remembered
    git: GitProgram


class Sources:
    """Those of one build. On the event loop; close it when nothing of the build runs any more."""

    def __init__(
        self,
        graph: Graph,
        request: BuildRequest,
        lookup: Lookup,
        trees: Trees,
        remote: Remote,
        scratch: int,
        threads: Threads,
        progress: Progress,
    ) -> None:
        """`scratch`: a descriptor of an empty directory, whose content goes when the build has ended."""
        self._graph = graph
        self._request = request
        self._lookup = lookup
        self._trees = trees
        self._remote = remote
        self._scratch = scratch
        self._threads = threads
        self._progress = progress
        self._end = Cancellation()
        self._opened: list[int] = []
        self._fetched: dict[Place, FetchedUrl] = {}
        self._commits: dict[Place, str] = {}

    async def content(self, place: Place) -> str:
        """The digest of what a source is now; "" where there is none, so that nothing that stands on it is kept.

        Raises SampanError.
        """
        match self._graph.vertices[place].operation:
            case ImageSource() as source:
                return await self._lookup.find(source.reference, source.platform)
            case ContextSource() as source:
                context = self._context(source.name or "context")
                try:
                    return await self._threads.run(context.digest, source.paths, source.excludes, source.parents)
                except SampanError:
                    # Told by the step that wants the files, when its turn has come.
                    return ""
            case UrlSource() as source:
                known = await self._threads.run(url_content, source, self._remote.fetcher, self._remote.remembered)
                return known if known is not None else (await self._url(place, source)).content
            case GitSource() as source:
                return await self._commit(place, source)
            case _:
                return ""

    def listing(self, place: Place) -> Mapping[str, str]:
        """A digest for each file that a source takes from the context; nothing for other sources, and where they are many."""
        source = self._graph.vertices[place].operation
        if not isinstance(source, ContextSource):
            return {}
        return self._context(source.name or "context").listing(source.paths, source.excludes, source.parents, _LISTED)

    async def tree(self, place: Place) -> Tree | None:
        """The tree of a source; None for what is none. Raises SampanError, OSError."""
        match self._graph.vertices[place].operation:
            case EmptySource():
                return Tree()
            case HostSource():
                return Tree(host.CHAIN)
            case ImageSource() as source:
                return self._trees.of_image(await self._lookup.find(source.reference, source.platform))
            case ContextSource() as source:
                context = self._context(source.name or "context")
                return Tree(source=await self._threads.run(context.tree, source.paths, source.excludes, source.parents))
            case DocumentSource() as source:
                into = self._fresh()
                clock = self._request.clock
                epoch = None if clock is None else clock * 1_000_000_000
                return Tree(source=await self._threads.run(write_documents, source, into, epoch=epoch))
            case UrlSource() as source:
                return Tree(source=(await self._url(place, source)).tree)
            case GitSource() as source:
                commit = await self._commit(place, source)
                tree = await self._threads.run(fetch_git, source, commit, self._access(source), self._fresh())
                self._opened.append(tree.root)
                return Tree(source=tree)
            case _:
                return None

    async def _url(self, place: Place, source: UrlSource) -> FetchedUrl:
        if place not in self._fetched:
            remote = self._remote
            self._fetched[place] = await self._stoppable(
                fetch_url, source, self._fresh(), remote.fetcher, remote.remembered, self._watch(place, source.url)
            )
        return self._fetched[place]

    async def _commit(self, place: Place, source: GitSource) -> str:
        if place not in self._commits:
            self._commits[place] = await self._stoppable(git_commit, source, self._access(source), self._scratch)
        return self._commits[place]

    async def _stoppable(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """In a thread, told to end when the build is called off: its end is then waited for."""
        task = asyncio.get_running_loop().create_task(self._threads.run(call, *args, **kwargs))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            self._end.cancel()
            await asyncio.wait([task])
            if not task.cancelled():
                task.exception()  # nobody waits for it any more
            raise

    def _watch(self, place: Place, url: str) -> Watch:
        loop = asyncio.get_running_loop()

        def watch(done: int, whole: int) -> None:
            self._end.check()
            loop.call_soon_threadsafe(self._progress.status, place, "", url, done, whole)

        return watch

    def _access(self, source: GitSource) -> Access:
        known = self._request.authorizations
        host = urlsplit(source.repository).hostname or ""
        agent = self._request.ssh.get("default", "")
        return Access(self._remote.git, agent, self._end, known.get(host, known.get("", "")))

    def _context(self, name: str) -> Context:
        try:
            return self._request.contexts[name]
        except KeyError:
            raise InvalidParameter("no build context was sent") from None

    def _fresh(self) -> int:
        """A descriptor of a directory with nothing in it."""
        name = os.urandom(12).hex()
        os.mkdir(name, 0o700, dir_fd=self._scratch)
        descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=self._scratch)
        self._opened.append(descriptor)
        return descriptor

    def close(self) -> None:
        """Let go of the trees."""
        self._end.cancel()
        for descriptor in self._opened:
            os.close(descriptor)
        self._opened.clear()
