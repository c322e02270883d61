"""What a build takes from other machines' caches, and what it gives beside its image in the store.

    read ─▶ Results ─ session: caches opened ─▶ build ─▶ squashed? ─▶ caches sent ─▶ attested, stored ─▶ pushed ─▶ streamed

All that blocks is done in worker threads, and is called off with the build.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from functools import partial, reduce
from typing import ParamSpec, TypeVar

import msgspec

from sampan.build.cache import exports
from sampan.build.cache.imports import Imports
from sampan.build.cache.session import Import, Session
from sampan.build.cache.store import BuildCache
from sampan.build.outputs import attestations
from sampan.build.outputs.annotations import Annotations
from sampan.build.outputs.annotations import read as read_annotations
from sampan.build.outputs.archives import OciArchive, docker_archive, oci_archive
from sampan.build.outputs.manifests import Portion, Wanted
from sampan.build.outputs.squashing import squash
from sampan.build.outputs.storing import store
from sampan.build.outputs.trees import Whole, trees_of
from sampan.build.outputs.wishes import OutputWish, parse
from sampan.build.progress import OutputEvent, ResultEvent
from sampan.build.request import BuildRequest, Built
from sampan.build.threads import carried_through
from sampan.daemon import build_statements
from sampan.daemon.workers import Workers
from sampan.errors import InvalidParameter, NotImplementedHere, SampanError
from sampan.images.catalog import NoSuchImage
from sampan.images.images import Images
from sampan.images.platforms import shown
from sampan.images.references import Reference
from sampan.images.steps import Cancellation, Cancelled, Step
from sampan.registry.authconfig import credentials_for
from sampan.registry.protocol import Credentials, Repositories
from sampan.spec.ids import ImageId
from sampan.spec.oci_image import Descriptor

P = ParamSpec("P")
T = TypeVar("T")

_STORED = ("image", "docker")
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
        common = read_annotations(request.annotations)
        self.outputs = [_annotated(parse(one), common) for one in request.outputs]
        self._attesting = build_statements.parse(request.attests)
        stored = [one.annotations for one in self.outputs if one.kind in _STORED and not one.streamed]
        self._annotations = reduce(Annotations.joined, stored, common if not self.outputs else Annotations())
        """those of the image in the store"""
        self._check()

    def _check(self) -> None:
        if unknown := {to.store for to in self._to if to.type == "client"} - self._request.stores.keys():
            raise InvalidParameter(f"unknown cache exporter: 'client': the request has no store {min(unknown)!r}")
        kinds = {one.kind for one in self.outputs if one.kind != "docker" or not one.streamed} or {"none"}
        if not self.outputs:
            kinds = {"image"}
        if self._attesting and kinds <= {"none", "cacheonly"}:
            raise InvalidParameter("attestations need an output of type image, oci, tar or local")
        if self._request.annotations and not kinds & {"image", "docker", "oci"}:
            raise InvalidParameter("annotations need an output of type image or oci")
        platforms = [wish.machines.target for wish in self._request.wishes]
        indexed = self._request.several or bool(self._attesting)
        for one in self.outputs:
            one.annotations.check(platforms, indexed=indexed)
            if one.kind == "docker" and one.streamed and self._request.several:
                raise InvalidParameter("docker exporter does not currently support exporting manifest lists")
            if one.split is False and len(platforms) > 1:
                raise NotImplementedHere(
                    f"output {one.kind}: platform-split=false of several platforms is not implemented"
                )
        self._annotations.check(platforms, indexed=indexed)

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
                except (InvalidParameter, NotImplementedHere):
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
            catalog,
            bringing,
            self._repositories,
            self._credentials,
            _unheard,
            self._end,
            here_only=self._classic,
            stores=self._request.stores,
        )

    def _credentials(self, domain: str) -> Credentials:
        return credentials_for(self._request.credentials, domain)

    async def deliver(self, session: Session, built: Built, told: Told, line: PassOn | None) -> Built:
        """Squash, send caches, store, push, stream: what the result is in the end. What is not to stay goes.

        Raises SampanError, OSError.
        """
        try:
            if self._request.squash:
                built = await self._squashed(built)
            for to in self._to:
                if to.type != "inline":
                    built = await self._send(session, to, built, told)
            request, attesting = self._request, self._attesting
            portions = await self._blocking(
                build_statements.portions, self._images, request, attesting, built, self._began
            )
            if self.stored and (request.several or attesting or self._annotations != Annotations()):
                built = msgspec.structs.replace(built, manifest=await self._recorded(built, portions))
            await self._pushed()
            if line is not None:
                built = await self._stream(built, portions, line)
        finally:
            for one in built.images:
                if not self.stored or one.image != built.main.image:
                    await carried_through(self._workers.run(forget, self._images, one.image, self._began))
        return built

    async def _recorded(self, built: Built, portions: Sequence[Portion]) -> Descriptor:
        """Its manifest or index, in the store."""
        names = self._images.checked_names(self._all_names)
        wanted = Wanted(names, self._annotations, packed=True, indexed=self._request.several)
        return await self._blocking(store, self._images.catalog, built.main.image, portions, wanted, self._end)

    async def _pushed(self) -> None:
        for one in self.outputs:
            if one.push:
                for name in self._pushed_names(one):
                    push = partial(self._images.push, name, self._credentials(name.domain))
                    await self._blocking(push, _unheard, self._end)

    def _pushed_names(self, one: OutputWish) -> Sequence[Reference]:
        names = one.names or self._images.checked_names(self._request.names)
        if not names:
            raise InvalidParameter("tag is needed when pushing to registry")
        return names

    async def _squashed(self, built: Built) -> Built:
        names = self._images.checked_names(self._all_names if self.stored else ())
        images = []
        for one in sorted(built.images, key=lambda one: one is built.main):
            own = names if one is built.main else ()
            made = await self._blocking(partial(squash, self._images.catalog, one.image, one.base, names=own))
            self._images.made(made, own)
            if made != one.image:
                await self._workers.run(forget, self._images, one.image, self._began)
            images.append(msgspec.structs.replace(one, image=made))
        in_order = sorted(images, key=lambda one: [each.platform for each in built.images].index(one.platform))
        familiar = tuple(name.familiar for name in names)
        return msgspec.structs.replace(built, images=tuple(in_order), main=images[-1], names=familiar)

    async def _send(self, session: Session, to: exports.Destination, built: Built, told: Told) -> Built:
        sending = exports.Exports(
            self._images.catalog, self._repositories, self._credentials, _unheard, self._end, self._request.stores
        )
        results = [[layer.diff_id for layer in one.layers] for one in built.images]
        try:
            manifest = await self._blocking(lambda: sending.send(to, session.records(), results, session.lease))
        except (SampanError, OSError) as error:
            if not to.ignore_error:
                raise
            told(f"exporting cache: {error}")
            return built
        return msgspec.structs.replace(built, cache=manifest) if to.type == "client" else built

    async def _stream(self, built: Built, portions: Sequence[Portion], line: PassOn) -> Built:
        """Send the client what it keeps, and what was made in words; with the manifest of an archive where none is stored."""
        for number, wish in enumerate(self.outputs):
            if wish.kind == "oci":
                archive = await self._layout(wish, portions)
                if built.manifest is None:
                    built = msgspec.structs.replace(built, manifest=archive.top)
                await self._streamed(number, archive.pieces, line)
            elif wish.streamed:
                await self._streamed(number, await self._opened(wish, built, portions), line)
        await line(ResultEvent(metadata=self._metadata(built)))
        return built

    async def _layout(self, wish: OutputWish, portions: Sequence[Portion]) -> OciArchive:
        names = wish.names or self._images.checked_names(self._request.names)
        wanted = Wanted(names, wish.annotations, wish.packed, self._request.several)
        return await self._blocking(oci_archive, self._images.catalog, portions, wanted, self._end)

    async def _opened(self, wish: OutputWish, built: Built, portions: Sequence[Portion]) -> Iterator[bytes]:
        catalog = self._images.catalog
        if wish.kind == "docker":
            names = wish.names or self._images.checked_names(self._request.names)
            return await self._blocking(docker_archive, catalog, built.main.image, names)
        split = self._request.several if wish.split is None else wish.split
        whole = [
            Whole(
                one.image,
                shown(one.platform).replace("/", "_") if split else "",
                attestations.beside(one.statements, one.image, wish.prefix),
            )
            for one in portions
        ]
        return await self._blocking(trees_of, catalog, whole, self._request.clock)

    def _metadata(self, built: Built) -> dict[str, msgspec.Raw]:
        """BuildKit's names, as far as they mean something here."""
        told: dict[str, object] = {"containerimage.digest": built.digest}
        if not self._request.several:
            told["containerimage.config.digest"] = built.main.image
        if built.manifest is not None:
            told["containerimage.descriptor"] = built.manifest
        if built.names:
            told["image.name"] = ",".join(built.names)
        return {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in told.items()}

    async def _streamed(self, number: int, pieces: Iterator[bytes], line: PassOn) -> None:
        try:
            async for piece in self._workers.iterate(lambda: pieces):
                await line(OutputEvent(output=number, data=piece))
        finally:
            close = getattr(pieces, "close", None)
            if close is not None:
                await carried_through(self._workers.run(close))
        await line(OutputEvent(output=number, last=True))

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


def forget(images: Images, image: ImageId, since: int) -> None:
    """Take away an image that was made on the way, unless it was here before `since`, or somebody has called it something."""
    catalog = images.catalog
    with catalog.lock, suppress(NoSuchImage, SampanError):
        if catalog.record(image).added >= since and not catalog.references_of(image):
            images.remove(image, lambda _: ())


async def _outcome(task: "asyncio.Task[T]") -> T:
    return await task


def _annotated(wish: OutputWish, common: Annotations) -> OutputWish:
    """With what was given for all outputs; what the output itself says counts more."""
    if wish.kind not in ("oci", *_STORED) or (wish.kind == "docker" and wish.streamed):
        return wish
    return msgspec.structs.replace(wish, annotations=common.joined(wish.annotations))


def _unheard(_: Step) -> None:
    """Steps of a cache's layers have no bar of their own."""
