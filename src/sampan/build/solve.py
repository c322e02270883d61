"""The solver: what is missing is made, as soon as its inputs are there, as much at once as there are processors.

Dockerfile ─ parse ─▶ tree ─ missing_images ─▶ images looked up, pulled ─ plan ─▶ Graph
Graph.sources ─ digests ─▶ contents ─ keys ─▶ a key for every vertex ─▶ which are kept, from the bottom up
from the result down:   kept? ──yes──▶ CACHED, nothing below it is made               (schedule.py)
                          │no
                          ▼
                its inputs, each the same way, at once
                          ▼
draft on input 0 ── RUN: Programs   COPY, WORKDIR: build.tree ──▶ sealed draft ──▶ the next may stand on it
                        (vertices.py)                                 │ meanwhile           (trees.py)
                                                                      ▼
                                                              tar, digest ──▶ LayerRecord
all of them named and placed, lowest first ──▶ kept in the cache ──▶ image: configuration, history, names
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import msgspec

from sampan.build.cache.mounts import CacheMounts
from sampan.build.document import image_of
from sampan.build.entitlements import check
from sampan.build.lookup import Lookup, Told
from sampan.build.needs import Cache, Programs, Progress
from sampan.build.operations import Graph, HostSource, ImageSource, Place, Target
from sampan.build.planning import plan_all
from sampan.build.request import BuildRequest, Built, BuiltImage
from sampan.build.run_mounts import Mounts
from sampan.build.schedule import Schedule
from sampan.build.sources import Remote, Sources
from sampan.build.threads import Threads, Workers, carried_through
from sampan.build.trees import Trees
from sampan.build.vertices import Outlet, Vertices
from sampan.dockerfile.instructions import Dockerfile
from sampan.errors import Forbidden
from sampan.images.images import Images
from sampan.images.platforms import fits
from sampan.snapshots.protocol import Snapshotter
from sampan.spec.ids import ImageId


@dataclass(frozen=True, slots=True)
class Means:
    """What a build stands on. `cache` is the build's own view of it, which outlives the call.

    `scratch`: a descriptor of an empty directory, which goes when the call has returned.
    """

    images: Images
    snapshots: Snapshotter
    programs: Programs
    cache: Cache
    mounts: CacheMounts
    remote: Remote
    workers: Workers
    scratch: int


async def _room() -> None:
    """There is always room."""


@dataclass(frozen=True, slots=True)
class Hearing:
    """What a front end may want to hear beside the progress of vertices.

    `pulled`: how pulls go on, from any thread, before there is a plan. `running`: under which id the program of a RUN runs.
    `room` is awaited before more of a program's output is taken.
    """

    pulled: Told = lambda *_: None
    running: Callable[[Place, str], None] = lambda *_: None
    room: Callable[[], Awaitable[None]] = _room


_SILENT = Hearing()


async def build(
    means: Means, request: BuildRequest, dockerfile: Dockerfile, progress: Progress, hearing: Hearing = _SILENT
) -> Built:
    """Build what is asked for. `dockerfile` is the parsed text.

    Raises DockerfileError, SampanError, OSError; nothing but what the cache keeps is left behind then. Cancelled: programs are
    killed, and what was made is taken back, before this returns.
    """
    names = means.images.checked_names(request.names)
    threads = Threads(means.workers)
    with means.images.making() as making:
        lookup = Lookup(means.images, making, request, hearing.pulled)
        graph = plan_all(dockerfile, [(wish, await lookup.all(dockerfile, wish)) for wish in request.wishes])
        check(graph, request.allowed, request.run.network)
        bases = [await _base(graph, target, lookup) for target in graph.targets]
        progress.planned(graph)
        trees = Trees(means.snapshots, making, threads, request.clock)
        sources = Sources(graph, request, lookup, trees, means.remote, means.scratch, threads, progress)
        mounts = Mounts(request, trees, means.mounts, threads)
        outlet = Outlet(progress, hearing.running, hearing.room)
        vertices = Vertices(graph, request, sources, trees, mounts, means.programs, threads, outlet)
        schedule = Schedule(graph, request, sources, vertices, trees, means.cache, progress)
        try:
            try:
                made = await schedule.run()
            finally:
                await carried_through(schedule.end())
            main = _main(request, graph)
            found: dict[int, BuiltImage] = {}
            # The one with the names last: they are not to move before all is there.
            for number in sorted(range(len(graph.targets)), key=lambda one: one == main):
                target, base, layers = graph.targets[number], bases[number], await trees.name(made[number])
                below = making.hold(base).document if base is not None else None
                image = image_of(request.clock, graph, target, below, schedule, layers)
                # Behind it, for the cache knows of the image by then.
                inline = means.cache.inline([layer.diff_id for layer in layers])
                image = msgspec.structs.replace(image, build_cache=inline)
                identity = await threads.run(making.finish, image, layers, names if number == main else ())
                found[number] = BuiltImage(target.platform, identity, layers, base)
        finally:
            await carried_through(trees.close())
            sources.close()
    for number, one in found.items():
        means.images.made(one.image, names if number == main else ())
    told = tuple(reference.familiar for reference in names)
    images = tuple(found[number] for number in range(len(graph.targets)))
    return Built(images, found[main], told, graph, schedule.contents)


def _main(request: BuildRequest, graph: Graph) -> int:
    """Which target's image gets the names: the first that this machine runs, else the first."""
    machine = request.wish.machines.build
    return next((number for number, one in enumerate(graph.targets) if fits(one.platform, machine)), 0)


async def _base(graph: Graph, target: Target, lookup: Lookup) -> ImageId | None:
    """The image at the bottom of a target; None for scratch. Raises Forbidden for the machine's own root."""
    match graph.bottom(target.result):
        case ImageSource() as source:
            return await lookup.find(source.reference, source.platform)
        case HostSource():
            raise Forbidden(
                "the target stands on the image host, which is this machine itself: no image can be made on top of it; "
                "COPY --from such a stage into one that stands on something else"
            )
        case _:
            return None
