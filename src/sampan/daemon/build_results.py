"""What a build takes from other machines' caches, and what it gives beside its image in the store.

    read ─▶ Results ─ session: caches opened ─▶ build ─▶ squashed? ─▶ caches sent ─▶ names pushed ─▶ outputs streamed

All that blocks is done in worker threads, and is called off with the build.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from functools import partial
from typing import ParamSpec, TypeVar

import msgspec

from sampan.build.cache import exports
from sampan.build.cache.imports import Imports
from sampan.build.cache.session import Import, Session
from sampan.build.cache.store import BuildCache
from sampan.build.outputs import attestations, provenance
from sampan.build.outputs.archives import docker_archive, oci_archive
from sampan.build.outputs.attestations import Statement
from sampan.build.outputs.spdx import bill
from sampan.build.outputs.squashing import squash
from sampan.build.outputs.trees import tree_of
from sampan.build.outputs.wishes import Annotations, OutputWish, parse
from sampan.build.progress import OutputEvent, ResultEvent
from sampan.build.request import BuildRequest, Built
from sampan.build.threads import carried_through
from sampan.daemon.workers import Workers
from sampan.dockerfile.arguments import platform_text
from sampan.errors import InvalidParameter, NotImplementedHere, SampanError
from sampan.images.catalog import NoSuchImage
from sampan.images.images import Images
from sampan.images.references import Reference
from sampan.images.steps import Cancellation, Cancelled, Step
from sampan.registry.protocol import Credentials, Repositories
from sampan.spec.ids import ImageId
from sampan.version import VERSION

P = ParamSpec("P")
T = TypeVar("T")

_STORED = ("image", "docker")
_HUB = ("docker.io", "https://index.docker.io/v1/", "index.docker.io", "registry-1.docker.io")
"""What clients' files call the registry of images that name none."""
Told = Callable[[str], None]
"""Hears what a reader of the progress should know; from any thread."""
PassOn = Callable[[OutputEvent | ResultEvent], Awaitable[None]]
"""Passes something on to the client, when it has room for it."""


class Results:
    """One build's. On the event loop."""

    def __init__(
        self,
        request: BuildRequest,
        images: Images,
        repositories: Repositories,
        cache: BuildCache,
        workers: Workers,
        *,
        classic: bool = False,
    ) -> None:
        """Reads what is asked for. Raises InvalidParameter, NotImplementedHere.

        `classic`: where images are named, only what they are made of is taken from the cache, and no registry is asked.
        """
        self._classic = classic
        self._request = request
        self._images = images
        self._repositories = repositories
        self._cache = cache
        self._workers = workers
        self._end = Cancellation()
        self._began = time.time_ns()
        self._to = [exports.parse(option) for option in request.cache_to]
        self.outputs = [_annotated(parse(one), request.annotations) for one in request.outputs]
        self._sbom = "sbom" in request.attests and request.attests["sbom"] != "disabled=true"
        self._provenance = provenance.parse(request.attests["provenance"]) if "provenance" in request.attests else None
        self._check()

    def _check(self) -> None:
        attests = self._sbom or self._provenance is not None
        if unknown := self._request.attests.keys() - {"sbom", "provenance"}:
            raise InvalidParameter(f"unsupported attestation type {min(unknown)!r}: sbom or provenance")
        if attests and not any(one.streamed and one.kind != "docker" for one in self.outputs):
            raise InvalidParameter(
                "attestations need an output of type oci, tar or local: the image store keeps the image alone"
            )
        if self._request.annotations and not any(one.kind == "oci" for one in self.outputs):
            raise InvalidParameter(
                "annotations need an output of type oci: the image store keeps no manifest of a build"
            )
        for one in self.outputs:
            if one.kind == "image" and one.annotations != Annotations():
                raise NotImplementedHere("output image: annotations are not implemented: use an output of type oci")

    @property
    def stored(self) -> bool:
        """Whether an image is to stay in the store."""
        return not self.outputs or any(one.kind in _STORED and not one.streamed for one in self.outputs)

    @property
    def names(self) -> tuple[str, ...]:
        """What the build itself is to call its image: nothing where it is squashed before, or is not to stay."""
        return self._all_names if self.stored and not self._request.squash else ()

    @property
    def _all_names(self) -> tuple[str, ...]:
        more = [name.familiar for one in self.outputs if one.kind in _STORED and not one.streamed for name in one.names]
        return tuple(dict.fromkeys([*self._request.names, *more]))

    @asynccontextmanager
    async def session(self, told: Told) -> AsyncIterator[Session]:
        """The cache as this build sees it. A cache that cannot be had is told, and the build goes on without."""
        with ExitStack() as opened:
            imports = opened.enter_context(self._imports())
            found: list[Import] = []
            for option in self._request.cache_from:
                try:
                    found.append(await self._blocking(imports.open, option))
                except InvalidParameter:
                    raise
                except (SampanError, OSError) as error:
                    told(f"importing cache manifest from {option.attributes.get('ref') or option.attributes}: {error}")
            inline = any(one.type == "inline" for one in self._to)
            only = self._stacks() if self._classic and self._request.cache_from else None
            session = Session(self._cache, found, self._end, inline=inline, only=only).__enter__()
            try:
                yield session
            finally:
                # Waits for the disk.
                await carried_through(self._workers.run(session.__exit__, None, None, None))

    def _stacks(self) -> list[list[str]]:
        """Of the images that are named and here, their layers' diff ids."""
        found = []
        for option in self._request.cache_from:
            with suppress(SampanError):
                rootfs = self._images.document(self._images.resolve(option.attributes.get("ref", ""))).rootfs
                found.append(list((rootfs.diff_ids if rootfs is not None else None) or ()))
        return found

    def _imports(self) -> Imports:
        catalog, bringing = self._images.catalog, self._images.bringing
        return Imports(
            catalog, bringing, self._repositories, self._credentials, _unheard, self._end, here_only=self._classic
        )

    def _credentials(self, domain: str) -> Credentials:
        known = self._request.credentials
        hosts = _HUB if domain == "docker.io" else (domain,)
        return next((known[host] for host in hosts if host in known), Credentials())

    async def finish(self, session: Session, built: Built, told: Told) -> Built:
        """Squash, send caches, push: all that is no stream. What the image is in the end. Raises SampanError, OSError."""
        if self._request.squash:
            built = await self._squashed(built)
        for to in self._to:
            if to.type != "inline":
                await self._send(session, to, built, told)
        for one in self.outputs:
            if one.push:
                for name in self._pushed_names(one):
                    push = partial(self._images.push, name, self._credentials(name.domain))
                    await self._blocking(push, _unheard, self._end)
        return built

    def _pushed_names(self, one: OutputWish) -> Sequence[Reference]:
        names = one.names or self._images.checked_names(self._request.names)
        if not names:
            raise InvalidParameter("tag is needed when pushing to registry")
        return names

    async def _squashed(self, built: Built) -> Built:
        names = self._images.checked_names(self._all_names if self.stored else ())
        made = await self._blocking(partial(squash, self._images.catalog, built.image, built.base, names=names))
        self._images.made(made, names)
        if made != built.image:
            await self._workers.run(self._forget, built.image)
        return msgspec.structs.replace(built, image=made, names=tuple(name.familiar for name in names))

    async def _send(self, session: Session, to: exports.Destination, built: Built, told: Told) -> None:
        sending = exports.Exports(self._images.catalog, self._repositories, self._credentials, _unheard, self._end)
        diff_ids = [layer.diff_id for layer in built.layers]
        try:
            await self._blocking(lambda: sending.send(to, session.records(), diff_ids, session.lease))
        except (SampanError, OSError) as error:
            if not to.ignore_error:
                raise
            told(f"exporting cache: {error}")

    async def stream(self, built: Built, line: PassOn) -> None:
        """Send the client what it keeps, and what was made in words; then what is not to stay goes. Raises SampanError."""
        try:
            statements = await self._statements(built)
            for number, wish in enumerate(self.outputs):
                if wish.streamed:
                    await self._streamed(number, await self._opened(wish, built, statements), line)
            await line(ResultEvent(metadata=_metadata(built)))
        finally:
            if not self.stored:
                await carried_through(self._workers.run(self._forget, built.image))

    async def _opened(self, wish: OutputWish, built: Built, statements: Sequence[Statement]) -> Iterator[bytes]:
        catalog, image = self._images.catalog, built.image
        names = wish.names or self._images.checked_names(self._request.names)
        if wish.kind == "docker":
            return await self._blocking(docker_archive, catalog, image, names)
        if wish.kind == "oci":
            opened = partial(oci_archive, packed=wish.packed, end=self._end)
            return await self._blocking(opened, catalog, image, names, wish.annotations, statements)
        files = attestations.beside(statements, image, wish.prefix)
        return await self._blocking(tree_of, catalog, image, self._request.clock, files)

    async def _streamed(self, number: int, pieces: Iterator[bytes], line: PassOn) -> None:
        try:
            async for piece in self._workers.iterate(lambda: pieces):
                await line(OutputEvent(output=number, data=piece))
        finally:
            close = getattr(pieces, "close", None)
            if close is not None:
                await carried_through(self._workers.run(close))
        await line(OutputEvent(output=number, last=True))

    async def _statements(self, built: Built) -> list[Statement]:
        found: list[Statement] = []
        if self._sbom:
            found.append(await self._blocking(self._bill, built))
        if self._provenance is not None:
            found.append(provenance.provenance(self._facts(built), self._provenance))
        return found

    def _bill(self, built: Built) -> Statement:
        import os

        from sampan.build.outputs.packages import Distribution, Inventory, inventory

        chain = self._images.chain(built.image)
        found = Inventory(Distribution(), ())
        if chain is not None:
            root = self._images.catalog.snapshots.view(chain)
            try:
                found = inventory(root)
            finally:
                os.close(root)
        at = self._request.clock if self._request.clock is not None else time.time_ns() // 10**9
        created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
        return bill(found, built.image, next(iter(self._request.names), built.image), created, VERSION)

    def _facts(self, built: Built) -> provenance.Facts:
        wish, clock = self._request.wish, self._request.clock
        arguments = {f"build-arg:{name}": value for name, value in wish.given.items()}
        now = time.time_ns() if clock is None else clock * 10**9
        return provenance.Facts(
            identity=built.image.removeprefix("sha256:")[:25],
            file=self._request.file,
            arguments={**arguments, **({"target": wish.target} if wish.target else {})},
            platform=platform_text(wish.machines.target),
            machine=platform_text(wish.machines.build),
            materials=provenance.materials(built.graph, built.contents),
            steps=provenance.steps(built.graph),
            started=min(self._began, now),
            finished=now,
        )

    def _forget(self, image: ImageId) -> None:
        """Take away an image that was made on the way, unless it was here before, or somebody has called it something."""
        catalog = self._images.catalog
        with catalog.lock, suppress(NoSuchImage, SampanError):
            if catalog.record(image).added >= self._began and not catalog.references_of(image):
                self._images.remove(image, lambda _: ())

    async def _blocking(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The call's result, from another thread; called off, it is told so and waited for."""
        task = asyncio.get_running_loop().create_task(self._workers.run(call, *args, **kwargs))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            self._end.cancel()
            with suppress(Cancelled, SampanError, OSError):
                await carried_through(_outcome(task))
            raise


async def _outcome(task: "asyncio.Task[T]") -> T:
    return await task


def _annotated(wish: OutputWish, annotations: Mapping[str, str]) -> OutputWish:
    """With what was given for all outputs: `manifest:KEY`, `index:KEY` …; a key alone is the manifest's."""
    if wish.kind != "oci" or not annotations:
        return wish
    places: dict[str, dict[str, str]] = {}
    for name, value in annotations.items():
        place, colon, key = name.partition(":")
        if not colon or place.partition("[")[0] not in ("manifest", "index", "manifest-descriptor", "index-descriptor"):
            place, key = "manifest", name
        if "[" in place:
            raise NotImplementedHere(f"annotation {name}: annotations of one platform are not implemented")
        places.setdefault(place.replace("-", "_"), {})[key] = value
    own = wish.annotations
    merged = {name: {**getattr(own, name), **places.get(name, {})} for name in Annotations.__struct_fields__}
    return msgspec.structs.replace(wish, annotations=Annotations(**merged))


def _metadata(built: Built) -> dict[str, msgspec.Raw]:
    """BuildKit's names, as far as they mean something here."""
    told: dict[str, object] = {"containerimage.config.digest": built.image, "containerimage.digest": built.image}
    if built.names:
        told["image.name"] = ",".join(built.names)
    return {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in told.items()}


def _unheard(_: Step) -> None:
    """Steps of a cache's layers have no bar of their own."""
