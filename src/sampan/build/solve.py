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

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import msgspec

from sampan.build.cache.mounts import CacheMounts
from sampan.build.document import image_document, moment, told
from sampan.build.lookup import Lookup, Told
from sampan.build.needs import Cache, Programs, Progress
from sampan.build.operations import Graph, HostSource, ImageSource, Metadata, Operation, Place
from sampan.build.planning import plan
from sampan.build.request import BuildRequest, Built
from sampan.build.run_mounts import Mounts
from sampan.build.schedule import Schedule
from sampan.build.sources import Remote, Sources
from sampan.build.threads import Threads, Workers, carried_through
from sampan.build.trees import Trees
from sampan.build.vertices import Outlet, Vertices
from sampan.dockerfile.instructions import Dockerfile
from sampan.errors import Forbidden
from sampan.images.catalog import LayerRecord
from sampan.images.images import Images
from sampan.snapshots.protocol import Snapshotter
from sampan.spec.ids import ImageId
from sampan.spec.oci_image import Image

_NANO = 1_000_000_000


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
    lookup = Lookup(means.images, request, hearing.pulled)
    graph = plan(dockerfile, request.wish, await lookup.all(dockerfile))
    base = await _base(graph, lookup)
    progress.planned(graph)
    with means.images.making() as making:
        trees = Trees(means.images, means.snapshots, making, threads, request.clock)
        sources = Sources(graph, request, lookup, trees, means.remote, means.scratch, threads, progress)
        mounts = Mounts(request, trees, means.mounts, threads)
        outlet = Outlet(progress, hearing.running, hearing.room)
        vertices = Vertices(graph, request, sources, trees, mounts, means.programs, threads, outlet)
        schedule = Schedule(graph, request, sources, vertices, trees, means.cache, progress)
        try:
            try:
                tree = await schedule.run()
            finally:
                await carried_through(schedule.end())
            layers = await trees.name(tree)
            image = _image(request, graph, base, schedule, layers)
            inline = means.cache.inline([layer.diff_id for layer in layers])
            image = msgspec.structs.replace(image, build_cache=inline)
            identity = await threads.run(making.finish, image, layers, names)
        finally:
            await carried_through(trees.close())
            sources.close()
    means.images.made(identity, names)
    told = tuple(reference.familiar for reference in names)
    return Built(identity, told, tuple(layers), _base_image(graph, lookup), graph, schedule.contents)


def _bottom(graph: Graph) -> Operation:
    """What the target stands on."""
    place = graph.result
    while graph.vertices[place].inputs:
        place = graph.vertices[place].inputs[0]
    return graph.vertices[place].operation


def _base_image(graph: Graph, lookup: Lookup) -> ImageId | None:
    """The image that the target stands on; None for scratch."""
    bottom = _bottom(graph)
    return lookup.found(bottom.reference, bottom.platform) if isinstance(bottom, ImageSource) else None


async def _base(graph: Graph, lookup: Lookup) -> Image | None:
    """The image at the bottom of the target; None for scratch. Raises Forbidden for the machine's own root."""
    match _bottom(graph):
        case ImageSource() as source:
            await lookup.find(source.reference, source.platform)
            return lookup.document(source.reference, source.platform)
        case HostSource():
            raise Forbidden(
                "the target stands on the image host, which is this machine itself: no image can be made on top of it; "
                "COPY --from such a stage into one that stands on something else"
            )
        case _:
            return None


def _image(
    request: BuildRequest, graph: Graph, base: Image | None, schedule: Schedule, layers: Sequence[LayerRecord]
) -> Image:
    metadata = graph.vertices[graph.result].operation
    assert isinstance(metadata, Metadata)
    clock = request.clock * _NANO if request.clock is not None else None
    created = schedule.image_created(layers) if clock is None else clock
    bottom = len((base.rootfs.diff_ids if base and base.rootfs else None) or ())
    times = [_layer_time(graph, schedule, entry.tree, bottom) for entry in graph.history]
    if clock is not None:
        times = [at and clock for at in times]
    history = told(graph.history, times, created)
    diff_ids = [layer.diff_id for layer in layers]
    return image_document(metadata, base, request.wish.machines.target, diff_ids, history, moment(created))


def _layer_time(graph: Graph, schedule: Schedule, place: Place | None, bottom: int) -> int | None:
    """When the layer of an instruction was made; None for one that has none. `bottom`: how many layers the base has."""
    if place is None:
        return None
    below = graph.vertices[place].inputs[0]
    depth = schedule.depth(below) if graph.vertices[below].inputs else bottom
    return schedule.created(place) if schedule.depth(place) > depth else None
