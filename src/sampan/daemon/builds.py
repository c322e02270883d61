"""Builds as the API calls them: the context taken in, the request made of the query, what becomes of it told in lines.

body ─▶ DATA-ROOT/builds/RANDOM ─▶ Dockerfile ─▶ BuildRequest ─▶ build.solve ─▶ classic lines, or events as JSON
                                        │ wrong: raised, and answered with a status; from the first step on it is told in the stream
"""

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from time import time_ns
from typing import Self

import msgspec

from sampan.build.cache.mounts import CacheMounts
from sampan.build.cache.store import BuildCache
from sampan.build.entitlements import Entitlement, entitlements
from sampan.build.needs import Progress
from sampan.build.outputs.wishes import parse as parse_output
from sampan.build.planning import Wish
from sampan.build.progress import OutputEvent, Reporter, ResultEvent, wire
from sampan.build.reporting import GraphReport
from sampan.build.request import BuildRequest, Built, CacheOption, Output, RunSettings, clock_of, indexed_of
from sampan.build.solve import Hearing, Means, build
from sampan.build.sources import Remote
from sampan.build.tree.context import Context, unpack_context
from sampan.build.tree.git import Access
from sampan.build.tree.remote_context import fetch_context
from sampan.build.vertices import CommandFailed
from sampan.daemon.build_contexts import Arrived, arrived
from sampan.daemon.build_fetching import fetched, watching
from sampan.daemon.build_lines import Lines
from sampan.daemon.build_programs import BuildPrograms
from sampan.daemon.build_results import PassOn, Results, Told
from sampan.daemon.classic_stream import ClassicStream
from sampan.daemon.config_builder import granted
from sampan.daemon.engine import Engine
from sampan.daemon.front_ends import translated
from sampan.daemon.kept_contexts import KeptContexts
from sampan.daemon.piping import Passing
from sampan.daemon.travels import line_of
from sampan.daemon.verify_resources import check_resources
from sampan.daemon.workers import Workers
from sampan.dockerfile.arguments import Machines
from sampan.dockerfile.instructions import Dockerfile
from sampan.dockerfile.parse import parse
from sampan.errors import InvalidParameter, SampanError, System, host_fault
from sampan.files.atomic import make_directory
from sampan.images.images import Images
from sampan.images.platforms import builders_platform, platforms_of
from sampan.images.steps import Cancellation, Step
from sampan.registry.authconfig import credentials_of
from sampan.registry.protocol import Repositories
from sampan.snapshots.protocol import Snapshotter
from sampan.spec.builds import BuildInfo, BuildOptions, BuildResult
from sampan.spec.document import encode
from sampan.spec.host_config import HostConfig, Resources
from sampan.spec.images import ErrorDetail
from sampan.spec.images import Progress as Line


@dataclass(frozen=True, slots=True)
class Site:
    """What builds of this daemon are made with."""

    engine: Engine
    images: Images
    snapshots: Snapshotter
    cache: BuildCache
    mounts: CacheMounts
    remote: Remote
    programs: BuildPrograms
    workers: Workers
    repositories: Repositories
    kept: KeptContexts = field(default_factory=KeptContexts)

    def results(self, request: BuildRequest, *, classic: bool = False) -> Results:
        """What the build takes from elsewhere, and gives beside its image. Raises InvalidParameter, NotImplementedHere."""
        return Results(request, self.images, self.repositories, self.cache, self.workers, classic=classic)

    @property
    def granted(self) -> frozenset[str]:
        """The entitlements that clients may ask for."""
        return granted(self.engine.config.builder)

    @property
    def places(self) -> Path:
        """Where builds under way have their directories."""
        return self.engine.config.data_root / "builds"


async def carry_out(site: Site, options: BuildOptions, body: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """Build; the lines for the client. Raises SampanError before the first of them. Closed, the build is called off."""
    _refuse(options, site)
    site.images.checked_names(options.names)
    with Place(site) as place:
        received, text = await _received(site, options, body, place.directory("context"))
        with arrived(options, received, place.directory) as sent:
            found = sent.context.dockerfile
            file, text = (options.dockerfile or "Dockerfile", text) if text else found(*_named(options))
            text = await translated(site.engine.plugins, text, options.arguments)
            request = _request(site, options, file, text, sent)
            site.results(request)  # wrong words are told before anything is done
            dockerfile = parse(text)
            lines = _told(site, options, request, dockerfile, place.directory("scratch"))
            try:
                async for line in lines:
                    yield line
            finally:
                await lines.aclose()


def _named(options: BuildOptions) -> tuple[str, ...]:
    return (options.dockerfile,) if options.dockerfile else ()


def _refuse(options: BuildOptions, site: Site) -> None:
    if options.squash and not site.engine.config.experimental:
        raise InvalidParameter("squash is only supported with experimental mode")
    if options.progress != "json" and any(parse_output(one).streamed for one in _outputs(options)):
        raise InvalidParameter("outputs that the client keeps travel in the progress: they need progress=json")
    if "," in options.platform and options.progress != "json":
        raise InvalidParameter(f'"{options.platform}": unknown operating system or architecture: invalid argument')


class Place:
    """A directory of one build, which goes with the block."""

    def __init__(self, site: Site) -> None:
        make_directory(site.places, 0o700)
        self._path = site.places / os.urandom(12).hex()
        self._trash = site.engine.trash
        self._opened: list[int] = []

    def directory(self, name: str) -> int:
        """A descriptor of a fresh directory in it."""
        (self._path / name).mkdir(mode=0o700)
        descriptor = os.open(self._path / name, os.O_RDONLY | os.O_DIRECTORY)
        self._opened.append(descriptor)
        return descriptor

    def __enter__(self) -> Self:
        self._path.mkdir(mode=0o700)
        return self

    def __exit__(self, *_: object) -> None:
        for descriptor in self._opened:
            os.close(descriptor)
        self._trash.take(self._path)


async def _received(site: Site, options: BuildOptions, body: AsyncIterator[bytes], into: int) -> tuple[Context, str]:
    """The context, and the Dockerfile's text where that came alone. Raises SampanError."""
    try:
        if options.remote:
            return await _fetched(site, options.remote, into)
        if options.kept:
            return site.kept.context(options.stamp, into), ""
        context = await _sent(site, body, into)
        if options.stamp:
            site.kept.keep(options.stamp, context.arrival())
        return context, ""
    except OSError as error:
        raise System(f"the build context cannot be unpacked: {host_fault(error)}") from error


async def _fetched(site: Site, url: str, into: int) -> tuple[Context, str]:
    end = Cancellation()
    access = Access(site.remote.git, "", end)
    watch = watching(end)
    found = await fetched(site.workers, end, lambda: fetch_context(url, into, site.remote.fetcher, access, watch))
    return found.context, found.dockerfile or ""


async def _sent(site: Site, body: AsyncIterator[bytes], into: int) -> Context:
    async with Passing(body) as passing:
        reading = asyncio.get_running_loop().create_task(site.workers.run(unpack_context, passing.file, into))
        try:
            return await asyncio.shield(reading)
        except asyncio.CancelledError:
            passing.call_off()
            await asyncio.wait([reading])
            if reading.exception() is None:
                reading.result().close()
            raise


def _request(site: Site, options: BuildOptions, file: str, text: str, sent: Arrived) -> BuildRequest:
    here = builders_platform()
    platforms = platforms_of(options.platform)
    machines = Machines(here, platforms[0] if platforms else here)
    given = {name: value for name, value in options.arguments.items() if value is not None}
    return BuildRequest(
        dockerfile=text,
        file=file,
        wish=Wish(machines, options.target, given, options.labels, sent.named),
        platforms=platforms,
        indexed=indexed_of(given),
        contexts=sent.contexts,
        names=options.names,
        pull=options.pull,
        no_cache=options.no_cache,
        no_cache_filter=options.no_cache_filter,
        cache_from=tuple(CacheOption(one.type, one.attrs) for one in options.cache_from),
        cache_to=tuple(CacheOption(one.type, one.attrs) for one in options.cache_to),
        outputs=_outputs(options),
        squash=options.squash,
        attests=options.attests,
        annotations=options.annotations,
        run=_settings(site, options),
        allowed=entitlements((*options.entitlements, *_host_network(options)), site.granted),
        secrets=sent.secrets,
        ssh=options.ssh,
        credentials={host: credentials_of(config) for host, config in options.credentials.items()},
        clock=clock_of(given.get("SOURCE_DATE_EPOCH", "")),
    )


def _host_network(options: BuildOptions) -> tuple[str, ...]:
    """Who wants all steps in the host's network allows it."""
    return (Entitlement.NETWORK_HOST,) if options.network == "host" else ()


def _outputs(options: BuildOptions) -> tuple[Output, ...]:
    return tuple(Output(one.type, one.attrs) for one in options.outputs)


def _settings(site: Site, options: BuildOptions) -> RunSettings:
    limits = HostConfig(
        memory=options.memory,
        memory_swap=options.memory_swap,
        cpu_shares=options.cpu_shares,
        cpu_period=options.cpu_period,
        cpu_quota=options.cpu_quota,
        cpuset_cpus=options.cpuset_cpus,
        cpuset_mems=options.cpuset_mems,
        cgroup_parent=options.cgroup_parent,
        extra_hosts=options.extra_hosts or None,
    )
    checked, _ = check_resources(limits, site.engine.means)
    return RunSettings(
        resources=Resources(**{name: getattr(checked, name) for name in Resources.__struct_fields__}),
        cgroup_parent=options.cgroup_parent,
        shm_size=options.shm_size,
        ulimits=options.ulimits,
        extra_hosts=options.extra_hosts,
        network=options.network or "default",
    )


async def _told(
    site: Site, options: BuildOptions, request: BuildRequest, dockerfile: Dockerfile, scratch: int
) -> AsyncGenerator[bytes, None]:
    lines = Lines(quiet=options.quiet)
    work = _events if options.progress == "json" else _classic
    task = asyncio.get_running_loop().create_task(work(site, request, dockerfile, scratch, lines))
    task.add_done_callback(lambda _: lines.end())
    # The daemon's end waits for it.
    site.engine.tasks.add(task)
    task.add_done_callback(site.engine.tasks.discard)
    try:
        while taken := await lines.take():
            yield taken
        await task
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _classic(site: Site, request: BuildRequest, dockerfile: Dockerfile, scratch: int, lines: Lines) -> None:
    stream = ClassicStream(dockerfile, request.wish, lines.put)
    stream.begin()
    loop = asyncio.get_running_loop()

    def pulled(_reference: str, step: Step) -> None:
        loop.call_soon_threadsafe(lines.put, line_of(step))

    hearing = Hearing(pulled, stream.running, lines.room)

    def told(text: str) -> None:
        loop.call_soon_threadsafe(lines.put, Line(stream=f"{text}\n"))

    try:
        built = await perform(site, request, dockerfile, scratch, stream, hearing, told)
    except (SampanError, OSError) as error:
        lines.add(_failure(error))
        return
    stream.finish(built.main.image, built.names)
    lines.last(f"{built.main.image}\n")


async def _events(site: Site, request: BuildRequest, dockerfile: Dockerfile, scratch: int, lines: Lines) -> None:
    reporter = Reporter(lines, time_ns)
    loop = asyncio.get_running_loop()

    def told(text: str) -> None:
        loop.call_soon_threadsafe(lambda: reporter.end(reporter.announce(text)))

    async def line(event: OutputEvent | ResultEvent) -> None:
        await lines.room()
        lines.add(wire(event))

    try:
        built = await perform(
            site, request, dockerfile, scratch, GraphReport(reporter), Hearing(room=lines.room), told, line
        )
    except (SampanError, OSError) as error:
        lines.add(_failure(error))
        return
    lines.add(encode(BuildInfo(aux=BuildResult(id=built.main.image))) + b"\r\n")


async def perform(
    site: Site,
    request: BuildRequest,
    dockerfile: Dockerfile,
    scratch: int,
    progress: Progress,
    hearing: Hearing,
    told: Told,
    line: PassOn | None = None,
) -> Built:
    """One build with this daemon's means; `scratch` is an empty directory for it. Raises as `build.solve.build` does."""
    results = site.results(request, classic=line is None)
    async with results.session(told) as session:
        means = Means(
            site.images, site.snapshots, site.programs, session, site.mounts, site.remote, site.workers, scratch
        )
        named = msgspec.structs.replace(request, names=results.names)
        return await results.deliver(session, await build(means, named, dockerfile, progress, hearing), told, line)


def _failure(error: SampanError | OSError) -> bytes:
    code = error.code if isinstance(error, CommandFailed) else 0
    text = host_fault(error) if isinstance(error, OSError) else str(error)
    return encode(Line(error_detail=ErrorDetail(code=code, message=text), error=text)) + b"\r\n"
