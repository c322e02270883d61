"""What pulling and pushing ask of a registry. Calls block and may come from any thread; several at once are welcome.

resolve(tag) ──▶ Descriptor ──▶ manifest ──▶ blob, blob, …            has_blob │ mount │ upload ──▶ put_manifest
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from io import BufferedIOBase
from typing import BinaryIO, Protocol

from sampan.registry.limits import RateLimit
from sampan.spec.ids import Digest
from sampan.spec.oci_image import Descriptor


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a client handed over with one request (X-Registry-Auth). All empty: nobody."""

    username: str = ""
    password: str = ""
    identity_token: str = ""
    registry_token: str = ""


class Source(Protocol):
    """One repository, `busybox` of `docker.io`, to read from (from its mirrors, perhaps).

    Every method raises, in Docker's words: NotFound (image unknown or denied), and kinds of System for all else, because
    Docker answers that with 500: `faults.Refused` (the registry's own words, with its codes and status),
    `faults.Unreachable` (no answer after the retries), `faults.Untrustworthy` (nonsense). Nothing that a registry says
    is trusted: bodies are bounded, and digests are checked by whoever stores the bytes.
    """

    domain: str
    path: str
    rate_limit: RateLimit
    """What the registry last said of its limits."""

    def resolve(self, reference: str) -> Descriptor:
        """The descriptor (media type, digest, size) that a tag or digest names now."""
        ...

    def manifest(self, descriptor: Descriptor) -> bytes:
        """The manifest's or index's bytes, at most MANIFEST_LIMIT, verified against the descriptor's digest."""
        ...

    def tags(self) -> Iterator[str]:
        """All tags, page by page; not verified to be tags."""
        ...

    def blob(self, descriptor: Descriptor, offset: int = 0) -> AbstractContextManager[BufferedIOBase]:
        """The blob's bytes from `offset` on. A cut connection is resumed where it broke, a bounded number of times.

        `read1` gives what has come. Not verified: the content store does that. The stream never gives more than
        `descriptor.size - offset` bytes.
        """
        ...

    def has_blob(self, digest: Digest) -> bool:
        """Whether the registry has it already."""
        ...

    def referrers(self, digest: Digest, artifact_type: str = "") -> Iterator[Descriptor]:
        """What refers to the manifest (signatures, SBOMs), by the referrers API or its tag fallback."""
        ...


class Repository(Source, Protocol):
    """The same to write to: never a mirror."""

    def mount(self, digest: Digest, source: str) -> bool:
        """Ask for a blob of the repository `source` of the same registry; False where it has to be uploaded."""
        ...

    def upload(
        self, digest: Digest, size: int, reader: Callable[[int], BinaryIO], progress: Callable[[int], None]
    ) -> None:
        """Send a blob: `reader(offset)` opens it there. `progress` hears how many bytes are sent. Resumed after a cut."""
        ...

    def put_manifest(self, reference: str, media_type: str, data: bytes) -> Digest:
        """Store a manifest under a tag or digest; its digest."""
        ...


class Repositories(Protocol):
    """Where repositories are found: by this machine's and the daemon's configuration."""

    def pulling(self, domain: str, path: str, credentials: Credentials) -> Source:
        """`domain`/`path` to read from: its mirrors first, then itself."""
        ...

    def pushing(self, domain: str, path: str, credentials: Credentials) -> Repository:
        """`domain`/`path` to write to."""
        ...


class Registries(Repositories, Protocol):
    """All registries, as this machine and the daemon's configuration know them."""

    def login(self, address: str, credentials: Credentials) -> str:
        """Try the credentials: an identity token where the registry gave one, else "". Raises Unauthorized in Docker's words."""
        ...

    def search(self, term: str, limit: int, credentials: Credentials) -> list["Found"]:
        """Docker Hub's old search (`GET /v1/search`)."""
        ...


@dataclass(frozen=True, slots=True)
class Found:
    """One answer of a search."""

    name: str
    description: str = ""
    stars: int = 0
    official: bool = False
    automated: bool = False
