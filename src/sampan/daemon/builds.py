"""Builds as the API calls them: the context taken in, the request made of the query, what becomes of it told in lines.

body ─▶ DATA-ROOT/builds/RANDOM ─▶ Dockerfile ─▶ BuildRequest ─▶ build.solve ─▶ classic lines, or events as JSON
                                        │ wrong: raised, and answered with a status; from the first step on it is told in the stream
"""

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import time_ns

from sampan.build.cache.mounts import CacheMounts
from sampan.build.cache.session import Session
from sampan.build.cache.store import BuildCache
from sampan.build.planning import Wish
from sampan.build.progress import Reporter
from sampan.build.reporting import GraphReport
from sampan.build.request import BuildRequest, Built, RunSettings
from sampan.build.solve import Hearing, Means, build, carried_through
from sampan.build.tree.context import Context, unpack_context
from sampan.build.vertices import CommandFailed
from sampan.daemon.build_lines import Lines
from sampan.daemon.build_programs import BuildPrograms
from sampan.daemon.classic_stream import ClassicStream
from sampan.daemon.engine import Engine
from sampan.daemon.travels import line_of
from sampan.daemon.verify_resources import check_resources
from sampan.daemon.workers import Pipe, Workers, as_file
from sampan.dockerfile.arguments import Machines
from sampan.dockerfile.instructions import Dockerfile
from sampan.dockerfile.parse import parse
from sampan.errors import InvalidParameter, NotImplementedHere, SampanError, System
from sampan.files.atomic import make_directory
from sampan.images.images import Images
from sampan.images.platforms import machine_platform, parse_platform
from sampan.images.steps import Step
from sampan.registry.authconfig import credentials_of
from sampan.snapshots.protocol import Snapshotter
from sampan.spec.builds import BuildInfo, BuildOptions, BuildResult
from sampan.spec.document import encode
from sampan.spec.host_config import HostConfig, Resources
from sampan.spec.images import ErrorDetail, Progress


@dataclass(frozen=True, slots=True)
class Site:
    """What builds of this daemon are made with."""

    engine: Engine
    images: Images
    snapshots: Snapshotter
    cache: BuildCache
    mounts: CacheMounts
    programs: BuildPrograms
    workers: Workers

    @property
    def contexts(self) -> Path:
        """Where contexts are unpacked."""
        return self.engine.config.data_root / "builds"


async def carry_out(site: Site, options: BuildOptions, body: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """Build; the lines for the client. Raises SampanError before the first of them. Closed, the build is called off."""
    _refuse(options, site)
    site.images.checked_names(options.names)
    with directory(site) as into:
        context = await _received(site, body, into)
        try:
            file, text = context.dockerfile(options.dockerfile or "Dockerfile")
            request = _request(site, options, file, text, context)
            dockerfile = parse(text)
            async for line in _told(site, options, request, dockerfile):
                yield line
        finally:
            context.close()


def _refuse(options: BuildOptions, site: Site) -> None:
    if options.remote:
        raise NotImplementedHere("not implemented by Sampan yet: building from a remote context")
    if options.squash:
        if not site.engine.config.experimental:
            raise InvalidParameter("squash is only supported with experimental mode")
        raise NotImplementedHere("not implemented by Sampan yet: --squash")
    if "," in options.platform:
        raise NotImplementedHere("not implemented by Sampan yet: building for more than one platform")


@contextmanager
def directory(site: Site) -> Iterator[int]:
    """An empty directory, which goes with the block."""
    make_directory(site.contexts, 0o700)
    place = site.contexts / os.urandom(12).hex()
    place.mkdir(mode=0o700)
    try:
        descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
        try:
            yield descriptor
        finally:
            os.close(descriptor)
    finally:
        site.engine.trash.take(place)


async def _received(site: Site, body: AsyncIterator[bytes], into: int) -> Context:
    pipe = Pipe()
    sending = asyncio.get_running_loop().create_task(pipe.fill(body))
    try:
        return await site.workers.run(unpack_context, as_file(pipe), into)
    except OSError as error:
        raise System(f"the build context cannot be unpacked: {error}") from error
    finally:
        pipe.close()
        if not sending.done():
            sending.cancel()
        await asyncio.wait([sending])
        if not sending.cancelled() and sending.exception() is not None:
            # The reader has heard of it, and speaks for both.
            _ = sending.exception()


def _request(site: Site, options: BuildOptions, file: str, text: str, context: Context) -> BuildRequest:
    here = machine_platform()
    machines = Machines(here, parse_platform(options.platform) if options.platform else here)
    given = {name: value for name, value in options.arguments.items() if value is not None}
    return BuildRequest(
        dockerfile=text,
        file=file,
        wish=Wish(machines, options.target, given, options.labels),
        contexts={"context": context},
        names=options.names,
        pull=options.pull,
        no_cache=options.no_cache,
        no_cache_filter=options.no_cache_filter,
        run=_settings(site, options),
        secrets=options.secrets,
        credentials={host: credentials_of(config) for host, config in options.credentials.items()},
        clock=_clock(given.get("SOURCE_DATE_EPOCH", "")),
    )


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


def _clock(text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 12):
        raise InvalidParameter(f"invalid SOURCE_DATE_EPOCH: {text[:100]}")
    return int(text)


async def _told(
    site: Site, options: BuildOptions, request: BuildRequest, dockerfile: Dockerfile
) -> AsyncGenerator[bytes, None]:
    lines = Lines(quiet=options.quiet)
    work = _events if options.progress == "json" else _classic
    task = asyncio.get_running_loop().create_task(work(site, request, dockerfile, lines))
    task.add_done_callback(lambda _: lines.end())
    try:
        while taken := await lines.take():
            yield taken
        await task
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _classic(site: Site, request: BuildRequest, dockerfile: Dockerfile, lines: Lines) -> None:
    stream = ClassicStream(dockerfile, request.wish, lines.put)
    stream.begin()
    loop = asyncio.get_running_loop()

    def pulled(_reference: str, step: Step) -> None:
        loop.call_soon_threadsafe(lines.put, line_of(step))

    hearing = Hearing(pulled, stream.running, lines.room)
    try:
        built = await perform(site, request, dockerfile, stream, hearing)
    except (SampanError, OSError) as error:
        lines.add(_failure(error))
        return
    stream.finish(built.image, built.names)
    lines.last(f"{built.image}\n")


async def _events(site: Site, request: BuildRequest, dockerfile: Dockerfile, lines: Lines) -> None:
    report = GraphReport(Reporter(lines, time_ns))
    try:
        built = await perform(site, request, dockerfile, report, Hearing(room=lines.room))
    except (SampanError, OSError) as error:
        lines.add(_failure(error))
        return
    lines.add(encode(BuildInfo(aux=BuildResult(id=built.image))) + b"\r\n")


async def perform(
    site: Site, request: BuildRequest, dockerfile: Dockerfile, progress: "ClassicStream | GraphReport", hearing: Hearing
) -> Built:
    """One build with this daemon's means. Raises as `build.solve.build` does."""
    session = Session(site.cache).__enter__()
    try:
        means = Means(site.images, site.snapshots, site.programs, session, site.mounts, site.workers)
        return await build(means, request, dockerfile, progress, hearing)
    finally:
        # Waits for the disk.
        await carried_through(site.workers.run(session.__exit__, None, None, None))


def _failure(error: SampanError | OSError) -> bytes:
    code = error.code if isinstance(error, CommandFailed) else 0
    detail = ErrorDetail(code=code, message=str(error))
    return encode(Progress(error_detail=detail, error=str(error))) + b"\r\n"
