"""What the routes need of images: those that are here, and asking registries. See `backend`."""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from sampan.spec import images as i
from sampan.spec import requests as r
from sampan.spec.registries import AuthConfig, AuthResponse, DistributionInspect, SearchResult


class Images(Protocol):
    """The local images. Streams of progress end by raising where the work fails."""

    async def list(self, options: r.ImageListOptions) -> Sequence[i.ImageSummary]:
        """Images, newest first."""
        ...

    async def inspect(self, name: str, manifests: bool, platform: str) -> i.ImageInspect:
        """Everything about one image."""
        ...

    async def history(self, name: str, platform: str) -> Sequence[i.HistoryItem]:
        """How it came to be, newest step first."""
        ...

    def load(self, archive: AsyncIterator[bytes], quiet: bool, platform: str) -> AsyncIterator[i.Progress]:
        """Take in a docker or OCI archive."""
        ...

    def import_archive(self, archive: AsyncIterator[bytes], options: r.ImportOptions) -> AsyncIterator[i.Progress]:
        """Make an image of one layer from a root file system's tar."""
        ...

    def import_url(self, url: str, options: r.ImportOptions) -> AsyncIterator[i.Progress]:
        """The same, from an address."""
        ...

    def pull(self, options: r.PullOptions) -> AsyncIterator[i.Progress]:
        """Bring an image from a registry. Called off when the iterator is closed."""
        ...

    def push(self, options: r.PushOptions) -> AsyncIterator[i.Progress]:
        """Send an image to a registry. Called off when the iterator is closed."""
        ...

    async def tag(self, name: str, repository: str, tag: str) -> None:
        """Give an image one more name; `tag` "" is latest."""
        ...

    async def remove(self, name: str, force: bool, prune: bool, platform: str) -> Sequence[i.DeleteItem]:
        """Take a name away, and the image with its last name; `prune` removes parents without a name too."""
        ...

    async def save(self, names: Sequence[str], platform: str) -> AsyncIterator[bytes]:
        """A docker archive of the images. What is wrong with the names is raised before the first byte."""
        ...

    async def prune(self, filters: r.Filters) -> i.ImagesPruneReport:
        """Remove images that nothing uses."""
        ...


class Registries(Protocol):
    """What is asked of registries without keeping anything. `credentials` is the header X-Registry-Auth as it came."""

    async def login(self, given: AuthConfig) -> AuthResponse:
        """Try a login."""
        ...

    async def search(self, term: str, limit: int, filters: r.Filters, credentials: str) -> Sequence[SearchResult]:
        """Find repositories; `limit` 0 is Docker's own."""
        ...

    async def inspect(self, name: str, credentials: str) -> DistributionInspect:
        """What an image's name stands for at its registry."""
        ...
