"""Images as the API calls them: `images.Images` in worker threads, its answers as API bodies."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing
from functools import partial
from typing import BinaryIO, cast

from sampan.daemon.layers import as_api
from sampan.daemon.piping import Passing
from sampan.daemon.times import rfc3339
from sampan.daemon.travels import follow
from sampan.daemon.workers import Workers
from sampan.errors import InvalidParameter
from sampan.files.trash import Freeing
from sampan.images.details import ImageDetails, parse_filters
from sampan.images.findings import Step
from sampan.images.images import Images
from sampan.images.loading import Loaded, LoadEvent, Message
from sampan.images.pulling import PullWish
from sampan.images.references import parse_named
from sampan.images.removal import ImageUser
from sampan.images.steps import Cancellation, Meter, Metered, Report
from sampan.images.steps import Step as Told
from sampan.registry.authconfig import lenient_auth
from sampan.registry.fetching import Fetcher
from sampan.spec import images as i
from sampan.spec import requests as r
from sampan.spec.containers import DriverData
from sampan.spec.ids import ImageId

Users = Callable[[ImageId], Sequence[ImageUser]]
_LOADING = "Loading layer"


class ImagesApi:
    """Implements `api.backend.Images`. `users` tells which containers were made from an image, `counts` how many from each."""

    def __init__(
        self, images: Images, users: Users, counts: Callable[[], Counter[ImageId]], workers: Workers, fetcher: Fetcher
    ) -> None:
        self._images = images
        self._users = users
        self._counts = counts
        self._workers = workers
        self._fetcher = fetcher

    async def list(self, options: r.ImageListOptions) -> Sequence[i.ImageSummary]:
        """Images, newest first."""
        wanted = parse_filters({key: list(values) for key, values in options.filters.items()})
        found = await self._workers.run(self._images.list, wanted, options.all)
        shared = await self._workers.run(self._images.shared_sizes) if options.shared_size else {}
        containers = self._counts()
        return [
            i.ImageSummary(
                id=summary.id,
                created=summary.created,
                parent_id=summary.parent,
                labels=dict(summary.labels) or None,
                repo_tags=summary.repo_tags,
                repo_digests=summary.repo_digests,
                size=summary.size,
                shared_size=shared.get(summary.id, -1),
                containers=containers[summary.id],
            )
            for summary in found
        ]

    async def inspect(self, name: str, manifests: bool, platform: str) -> i.ImageInspect:
        """Everything about one image."""
        details = await self._workers.run(self._images.inspect, name)
        if platform:
            self._images.check_platform(name, platform)
        if manifests:
            # One manifest an image, so there is nothing beside the image itself to show.
            return inspected(details)
        return inspected(details)

    async def history(self, name: str, platform: str) -> Sequence[i.HistoryItem]:
        """How it came to be, newest step first."""
        if platform:
            self._images.check_platform(name, platform)
        steps = await self._workers.run(self._images.history, name)
        return [
            i.HistoryItem(
                comment=step.comment,
                created=step.created,
                created_by=step.created_by,
                id=step.id,
                size=step.size,
                tags=step.tags or None,
            )
            for step in steps
        ]

    async def load(self, archive: AsyncIterator[bytes], quiet: bool, platform: str) -> AsyncIterator[i.Progress]:
        """Take in a docker or OCI archive."""
        async with Passing(archive) as passing:
            async for event in self._workers.iterate(lambda: self._images.load(passing.file, platform)):
                for line in _progress(event, quiet=quiet):
                    yield line

    async def import_archive(
        self, archive: AsyncIterator[bytes], options: r.ImportOptions
    ) -> AsyncIterator[i.Progress]:
        """Make an image of one layer from a root file system's tar."""
        async with Passing(archive) as passing:
            image = await self._workers.run(
                self._images.import_,
                passing.file,
                options.repository,
                options.tag,
                options.changes,
                options.message,
                options.platform,
            )
        yield i.Progress(status=image)

    def import_url(self, url: str, options: r.ImportOptions) -> AsyncIterator[i.Progress]:
        """The same, from an address."""
        return follow("import", partial(self._import_url, url, options))

    def _import_url(self, url: str, options: r.ImportOptions, report: Report, end: Cancellation) -> None:
        with self._fetcher.open(url) as fetched:
            report(Told(f"Downloading from {url}", plain=True))
            # Without a length there is no bar to draw.
            meter = Meter(report if fetched.size else lambda _: None, "Importing", "", fetched.size)
            image = self._images.import_(
                cast("BinaryIO", Metered(cast("BinaryIO", fetched), meter, end)),
                options.repository,
                options.tag,
                options.changes,
                options.message,
                options.platform,
            )
        report(Told(image, plain=True))

    def pull(self, options: r.PullOptions) -> AsyncIterator[i.Progress]:
        """Bring an image from a registry."""
        reference = parse_named(options.name.removesuffix(":"), options.tag)
        wish = PullWish(reference, options.platform, lenient_auth(options.credentials))
        return follow("pull", partial(self._pull, wish))

    def _pull(self, wish: PullWish, report: Report, end: Cancellation) -> None:
        self._images.pull(wish, report, end)

    async def push(self, options: r.PushOptions) -> AsyncIterator[i.Progress]:
        """Send an image to a registry."""
        reference = parse_named(options.name, options.tag)
        if options.platform:
            self._images.check_platform(reference.familiar, options.platform)
        steps = follow("push", partial(self._images.push, reference, lenient_auth(options.credentials)))
        async with aclosing(steps):
            async for line in steps:
                yield line

    async def tag(self, name: str, repository: str, tag: str) -> None:
        """Give an image one more name."""
        await self._workers.run(self._images.tag, name, repository, tag)

    async def remove(self, name: str, force: bool, prune: bool, platform: str) -> Sequence[i.DeleteItem]:
        """Take a name away, and the image with its last name."""
        removed = await self._workers.run(self._images.remove, name, self._users, force, prune, platform)
        return [i.DeleteItem(untagged=item.untagged, deleted=item.deleted) for item in removed]

    async def save(self, names: Sequence[str], platform: str) -> AsyncIterator[bytes]:
        """A docker archive of the images."""
        if not names:
            raise InvalidParameter("no images to save were named")
        pieces: Iterator[bytes] = await self._workers.run(self._images.save, names, platform)
        return self._workers.iterate(lambda: pieces)

    async def prune(self, filters: r.Filters) -> i.ImagesPruneReport:
        """Remove images that nothing uses."""
        plain = {key: list(values) for key, values in filters.items()}
        removed, freed = await self._workers.run(self._images.prune, plain, self._users)
        items = tuple(i.DeleteItem(untagged=item.untagged, deleted=item.deleted) for item in removed)
        return i.ImagesPruneReport(images_deleted=items or None, space_reclaimed=freed)

    def freeing(self) -> Freeing:
        """What was removed and is still on the disk."""
        return self._images.freeing()

    def check(self, repair: bool) -> AsyncIterator[Step]:
        """Look at everything that images need; see `images.check`."""
        return self._workers.iterate(lambda: self._images.check(self._users, repair))


def _progress(event: LoadEvent, *, quiet: bool) -> list[i.Progress]:
    if isinstance(event, Message):
        return [i.Progress(stream=f"{event.text}\n")]
    if quiet or isinstance(event, Loaded):
        return []
    detail = i.ProgressDetail(current=event.current, total=event.total)
    return [i.Progress(status=_LOADING, progress_detail=detail, id=event.diff_id.removeprefix("sha256:")[:12])]


def inspected(details: ImageDetails) -> i.ImageInspect:
    """An image as the API shows it."""
    return i.ImageInspect(
        id=details.id,
        repo_tags=details.repo_tags,
        repo_digests=details.repo_digests,
        parent=details.parent,
        comment=details.comment,
        created=details.created,
        docker_version=details.docker_version,
        author=details.author,
        config=as_api(details.config),
        architecture=details.architecture,
        variant=details.variant,
        os=details.os,
        os_version=details.os_version,
        size=details.size,
        graph_driver=DriverData(name=details.driver, data=dict(details.driver_data) or None),
        root_fs=i.RootFS(layers=details.diff_ids or None),
        metadata=i.ImageMetadata(last_tag_time=rfc3339(details.last_tagged_ns)),
    )
