"""Bodies of what the API asks of registries: logging in, searching, and what a name stands for there."""

import msgspec

from sampan.spec.document import Document, sent
from sampan.spec.oci_descriptor import Descriptor, Platform


class AuthConfig(Document, frozen=True, rename="lower"):
    """A login: body of POST /auth, and (in base64) the header X-Registry-Auth. `auth` is `name:password` in base64."""

    username: str = ""
    password: str = ""
    auth: str = ""
    email: str = ""
    serveraddress: str = ""
    identitytoken: str = ""
    registrytoken: str = ""


class AuthResponse(Document, frozen=True):
    """Answer of POST /auth."""

    status: str = sent("")
    identity_token: str = sent("")


class DistributionInspect(Document, frozen=True):
    """Answer of GET /distribution/{name}/json."""

    descriptor: Descriptor = sent(Descriptor())
    platforms: tuple[Platform, ...] | None = sent(None)


class SearchResult(msgspec.Struct, frozen=True):
    """One answer of GET /images/search."""

    star_count: int
    is_official: bool
    name: str
    is_automated: bool
    description: str
