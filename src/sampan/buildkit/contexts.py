"""The Dockerfile and every context of a build, had from wherever they lie, before the first step.

attributes ─▶ origins ─▶ a directory of the session │ git, a URL: fetched │ what the client uploads │ an image of its store
                                 └──────────▶ Files: the Dockerfile's text, contexts by name, what each name means
"""

import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import BinaryIO, cast
from urllib.parse import urlsplit

from sampan.build.planning import NamedContext
from sampan.build.tree.context import Context
from sampan.build.tree.remote_context import RemoteContext
from sampan.buildkit.attributes import Asked
from sampan.buildkit.needs import Builder, Fetch
from sampan.buildkit.origins import Git, Image, Layout, Local, Made, Origin, Upload, Web, main_origin, named_origin
from sampan.buildkit.sources import Client
from sampan.dockerfile.ignore import BadIgnore, read_patterns
from sampan.errors import InvalidParameter, NotFound, NotImplementedHere

_AGENT = "default"
"""Whom git asks, where a repository is reached by ssh."""
_ALONE = "context"
"""What BuildKit calls a Dockerfile that came alone from a URL."""


@dataclass(frozen=True, slots=True)
class Files:
    """The Dockerfile's text, the path that it was found at, the contexts, and what their names mean."""

    file: str
    text: str
    contexts: Mapping[str, Context] = field(default_factory=dict)
    named: Mapping[str, NamedContext] = field(default_factory=dict)


class Gathering:
    """One build's. On the event loop."""

    def __init__(
        self,
        client: Client,
        builder: Builder,
        made: Callable[[str], str],
        inputs: Mapping[str, Origin],
        platforms: Sequence[str],
    ) -> None:
        """`made`: the image that another build of the client made, by its reference; raises NotFound.

        `inputs`: what the client gave as graphs. `platforms`: what is built for, none for this machine.
        """
        self._client = client
        self._builder = builder
        self._made = made
        self._inputs = inputs
        self._platforms = platforms or (builder.manner.platform,)

    @asynccontextmanager
    async def files(self, asked: Asked) -> AsyncIterator[Files]:
        """What is built from. Raises SampanError, OSError."""
        async with AsyncExitStack() as stack:
            origin = self._main(asked)
            remote = None if origin is None else await stack.enter_async_context(self._fetched(origin))
            file, text, ignore = await self._dockerfile(asked, remote)
            contexts: dict[str, Context] = {}
            named: dict[str, NamedContext] = {}
            if remote is not None:
                # As it came: BuildKit, too, reads no .dockerignore in what it fetched.
                contexts["context"] = remote.context
            else:
                if ignore is None:
                    ignore = await self._read(asked.context_name, ".dockerignore") or b""
                directory = self._client.directory(asked.context_name, exclude=_patterns(ignore))
                contexts["context"] = await stack.enter_async_context(directory)
            for name, one in self._origins(asked).items():
                named[name] = await self._meaning(stack, name, one, contexts)
            yield Files(file, text, contexts, named)

    @asynccontextmanager
    async def source(self, origin: Origin) -> AsyncIterator[Context]:
        """One source by itself, for a client that wants to read in it. Raises SampanError, OSError."""
        if isinstance(origin, Web):
            async with self._one_file(origin) as context:
                yield context
        elif isinstance(origin, Git):
            async with self._fetched(origin) as remote:
                yield remote.context
        else:
            raise NotImplementedHere(
                f"not implemented by Sampan yet: reading in a source of the kind {type(origin).__name__}"
            )

    async def dockerfile(self, asked: Asked) -> Files:
        """The Dockerfile alone, for what builds nothing. Raises SampanError, OSError."""
        async with AsyncExitStack() as stack:
            origin = self._main(asked)
            wanted = origin is not None and not asked.dockerfile_apart
            remote = await stack.enter_async_context(self._fetched(origin)) if origin is not None and wanted else None
            file, text, _ = await self._dockerfile(asked, remote)
            named = {
                name: NamedContext(image=one.reference) if isinstance(one, Image) else NamedContext()
                for name, one in self._origins(asked).items()
            }
            return Files(file, text, {}, named)

    def _main(self, asked: Asked) -> Origin | None:
        """Where the context is; None for a directory of the session."""
        if asked.remote:
            return main_origin(asked.remote)
        return self._inputs.get("context")

    def _origins(self, asked: Asked) -> dict[str, Origin]:
        """Named contexts; of those for one platform (`NAME::PLATFORM`) the one that is built for."""
        found: dict[str, Origin] = {}
        for key, text in asked.named.items():
            name, mark, platform = key.partition("::")
            if mark and len(self._platforms) > 1:
                raise NotImplementedHere(
                    f"not implemented by Sampan yet: the context {name[:100]} for each of several platforms"
                )
            if not mark or platform in self._platforms:
                found[name.lower()] = named_origin(name, text, self._inputs)
        return found

    async def _meaning(
        self, stack: AsyncExitStack, name: str, origin: Origin, contexts: dict[str, Context]
    ) -> NamedContext:
        """What a named context means; the files of one that is files are had, and kept in `contexts`."""
        match origin:
            case Image():
                return NamedContext(image=origin.reference)
            case Made():
                return NamedContext(image=self._made(origin.reference))
            case Git():
                return NamedContext(repository=origin.address)
            case Layout():
                store = await self._client.store(f"oci:{origin.store}", f"the OCI layout of the context {name}")
                if len(self._platforms) > 1:
                    raise NotImplementedHere(
                        f"not implemented by Sampan yet: the OCI layout {name[:100]} for several platforms at once"
                    )
                brought = self._builder.brought(store, origin.digest, self._platforms[0])
                return NamedContext(image=await stack.enter_async_context(brought))
            case Local():
                own = _patterns(await self._read(origin.directory, ".dockerignore") or b"")
                directory = self._client.directory(origin.directory, exclude=own)
                contexts[name] = await stack.enter_async_context(directory)
            case Web():
                contexts[name] = await stack.enter_async_context(self._one_file(origin))
            case Upload():
                raise InvalidParameter(f"the context {name} cannot be uploaded: only the main one can")
        return NamedContext()

    @asynccontextmanager
    async def _fetched(self, origin: Origin) -> AsyncIterator[RemoteContext]:
        """The main context, from elsewhere."""
        async with AsyncExitStack() as stack:
            into = stack.enter_context(self._builder.directory())
            match origin:
                case Git():
                    agents = await stack.enter_async_context(self._client.agents([_AGENT]))
                    known = await self._client.authorizations([origin.source.repository])
                    authorization = known.get(urlsplit(origin.source.repository).hostname or "", known.get("", ""))
                    wish = Fetch(git=origin.source, agent=agents.get(_AGENT, ""), authorization=authorization)
                    found = await self._builder.fetch(wish, into)
                case Web():
                    found = await self._builder.fetch(Fetch(url=origin.url), into)
                case Upload():
                    spool = await stack.enter_async_context(self._client.upload(origin.path))
                    found = await self._builder.unpack(_opened(spool), into)
                case _:
                    raise NotImplementedHere(
                        f"not implemented by Sampan yet: a main context of the kind {type(origin).__name__}; "
                        "COPY --from a named context"
                    )
            stack.callback(found.context.close)
            yield found

    @asynccontextmanager
    async def _one_file(self, origin: Web) -> AsyncIterator[Context]:
        with self._builder.directory() as into:
            wish = Fetch(url=origin.url, file=origin.file, checksum=origin.checksum)
            found = await self._builder.fetch(wish, into)
            try:
                yield found.context
            finally:
                found.context.close()

    async def _dockerfile(self, asked: Asked, remote: RemoteContext | None) -> tuple[str, str, bytes | None]:
        """Its path, its text, and its own ignore file."""
        own = f"{asked.file}.dockerignore"
        wanted = [asked.file, own]
        if asked.file == "Dockerfile":
            wanted.append("dockerfile")
        if remote is not None and not asked.dockerfile_apart:
            if remote.dockerfile is not None:
                return _ALONE, remote.dockerfile, None
            return _chosen(remote.context, asked.file, wanted)
        async with self._client.directory(asked.dockerfile_name, follow=wanted) as found:
            return _chosen(found, asked.file, wanted)

    async def _read(self, directory: str, name: str) -> bytes | None:
        async with self._client.directory(directory, follow=[name]) as found:
            return _content(found, name)


def _chosen(found: Context, file: str, wanted: list[str]) -> tuple[str, str, bytes | None]:
    own = wanted[1]
    ignore = _content(found, own)
    for name in wanted:
        content = None if name == own else _content(found, name)
        if content is not None:
            return name, content.decode("utf-8", "replace"), ignore
    raise NotFound(f"failed to read dockerfile: open {file}: no such file or directory")


def _opened(spool: int) -> BinaryIO:
    return cast(BinaryIO, open(os.dup(spool), "rb", buffering=0))


def _content(found: Context, name: str) -> bytes | None:
    try:
        return found.read(name)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise InvalidParameter(f"failed to read {name}: {error.strerror}") from error


def _patterns(ignore: bytes) -> tuple[str, ...]:
    try:
        return tuple(read_patterns(ignore.decode("utf-8", "surrogateescape")))
    except BadIgnore as error:
        raise InvalidParameter(f"failed to parse dockerignore: {error}") from error
