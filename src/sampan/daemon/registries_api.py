"""What the API asks of registries without keeping anything: logins, searches, what a name stands for there."""

from collections.abc import Sequence
from urllib.parse import urlsplit

from sampan.daemon.matching import boolean, check_keys
from sampan.daemon.workers import Workers
from sampan.errors import Forbidden, InvalidParameter, NotFound, SampanError, System, TooManyRequests, Unauthorized
from sampan.images.references import Reference, parse_any
from sampan.registry.authconfig import lenient_auth
from sampan.registry.faults import Refused, UnknownImage
from sampan.registry.names import HUB_INDEX_NAME
from sampan.registry.protocol import Credentials, Registries, Source
from sampan.spec import oci_image as oci
from sampan.spec import requests as r
from sampan.spec.oci_descriptor import Descriptor, Platform
from sampan.spec.registries import AuthConfig, AuthResponse, DistributionInspect, SearchResult

_KINDS: dict[str, type[SampanError]] = {
    "UNAUTHORIZED": Unauthorized,
    "DENIED": Forbidden,
    "MANIFEST_UNKNOWN": NotFound,
    "NAME_UNKNOWN": NotFound,
    "NAME_INVALID": InvalidParameter,
    "TOOMANYREQUESTS": TooManyRequests,
}
"""Docker passes a registry's status on here (distribution's errcode descriptors), as it does not for a pull."""
_FILTERS = ("is-automated", "is-official", "stars")
_SEARCH_LIMIT = 25


class RegistriesApi:
    """Implements `api.backend.Registries`."""

    def __init__(self, registries: Registries, workers: Workers) -> None:
        self._registries = registries
        self._workers = workers

    async def login(self, given: AuthConfig) -> AuthResponse:
        """Try a login."""
        address = _address(given.serveraddress)
        credentials = Credentials(given.username, given.password, given.identitytoken, given.registrytoken)
        token = await self._workers.run(self._registries.login, address, credentials)
        return AuthResponse("Login Succeeded", token)

    async def search(self, term: str, limit: int, filters: r.Filters, credentials: str) -> Sequence[SearchResult]:
        """Find repositories."""
        check_keys(filters, _FILTERS)
        if boolean(filters, "is-automated", default=False):
            return []
        official = boolean(filters, "is-official", default=False) if filters.get("is-official") else None
        stars = max((_stars(text) for text in filters.get("stars", ())), default=0)
        found = await self._workers.run(
            self._registries.search, term, limit or _SEARCH_LIMIT, lenient_auth(credentials)
        )
        return [
            SearchResult(one.stars, one.official, one.name, is_automated=False, description=one.description)
            for one in found
            if one.stars >= stars and official in (None, one.official)
        ]

    async def inspect(self, name: str, credentials: str) -> DistributionInspect:
        """What an image's name stands for at its registry."""
        reference = parse_any(name)
        if not isinstance(reference, Reference):
            raise System("no manifest found for full image ID")
        return await self._workers.run(self._inspect, reference.with_default_tag(), lenient_auth(credentials))

    def _inspect(self, reference: Reference, credentials: Credentials) -> DistributionInspect:
        repository = self._registries.pulling(reference.domain, reference.path, credentials)
        try:
            described = repository.resolve(reference.digest or reference.tag or "latest")
            data = repository.manifest(described)
        except (Refused, UnknownImage) as error:
            said = error.said if isinstance(error, UnknownImage) else error
            raise _KINDS.get(said.code, System)(str(said)) from error
        try:
            platforms = _platforms(repository, described, data)
        except InvalidParameter as error:
            # It is the registry that said something invalid, not the client.
            raise System(str(error)) from error
        return DistributionInspect(
            descriptor=Descriptor(media_type=described.media_type, digest=described.digest, size=described.size),
            platforms=tuple(platforms) or None,
        )


def _platforms(repository: Source, described: oci.Descriptor, data: bytes) -> list[Platform]:
    """What an index has manifests for, or what the one image is for. Raises InvalidParameter for malformed documents."""
    if described.media_type in (oci.OCI_INDEX, oci.DOCKER_INDEX):
        entries = oci.decode_index(data, described.media_type).manifests or ()
        return [_platform(entry.platform or oci.Platform()) for entry in entries]
    return _of_config(repository, oci.decode_manifest(data, described.media_type))


def _address(given: str) -> str:
    """The host of a login's `serveraddress`. Raises InvalidParameter."""
    if not given:
        return HUB_INDEX_NAME
    url = given if given.startswith(("http://", "https://")) else f"https://{given}"
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise InvalidParameter(f'unable to parse server address: parse "{url}": {error}') from error
    if not parts.hostname or "@" in parts.netloc:
        raise InvalidParameter(f'unable to parse server address: parse "{url}": no host in it')
    return parts.netloc.lower()


def _stars(text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise InvalidParameter(
            f"invalid filter 'stars={text}': strconv.Atoi: parsing \"{text}\": invalid syntax"
        ) from error


def _of_config(repository: Source, manifest: oci.Manifest) -> list[Platform]:
    """A single image says in its configuration what it is for; one that cannot be had or read says nothing, as in Docker."""
    config = manifest.config
    if config is None or config.size > oci.CONFIG_LIMIT:
        return []
    try:
        with repository.blob(config) as stream:
            found = oci.decode(
                stream.read(oci.CONFIG_LIMIT), oci.Platform, "the image's configuration", oci.CONFIG_LIMIT
            )
    except SampanError:
        return []
    return [_platform(found)] if found.os or found.architecture else []


def _platform(found: oci.Platform) -> Platform:
    return Platform(
        architecture=found.architecture,
        os=found.os,
        os_version=found.os_version,
        os_features=tuple(found.os_features) if found.os_features else None,
        variant=found.variant,
    )
