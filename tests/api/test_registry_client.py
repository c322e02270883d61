"""The registry client against Debian's docker-registry."""

import hashlib
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from sampan.errors import NotFound
from sampan.registry.faults import Unreachable
from sampan.registry.protocol import Credentials, Repository
from sampan.registry.registries import RemoteRegistries
from sampan.registry.settings import Settings
from sampan.spec import oci_image as oci
from sampan.spec.ids import Digest
from tests.registries import Registry, running_registry
from tests.requires import requires

pytestmark = requires("docker-registry")

NOBODY = Credentials()
CONFIG = b'{"architecture":"amd64","os":"linux"}'
LAYER = bytes(range(256)) * 5000


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with running_registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture
def registries() -> Iterator[RemoteRegistries]:
    made = RemoteRegistries(Settings())
    yield made
    made.close()


def digest_of(data: bytes) -> Digest:
    return Digest("sha256:" + hashlib.sha256(data).hexdigest())


def described(data: bytes, media_type: str = "") -> oci.Descriptor:
    return oci.Descriptor(media_type=media_type, digest=digest_of(data), size=len(data))


def manifest(config: bytes, *layers: bytes) -> bytes:
    parts = [{"mediaType": oci.OCI_LAYER, "digest": digest_of(layer), "size": len(layer)} for layer in layers]
    described_config = {"mediaType": oci.OCI_CONFIG, "digest": digest_of(config), "size": len(config)}
    document = {"schemaVersion": 2, "mediaType": oci.OCI_MANIFEST, "config": described_config, "layers": parts}
    return json.dumps(document).encode()


def send(repository: Repository, blob: bytes) -> None:
    progress: list[int] = []
    repository.upload(digest_of(blob), len(blob), lambda at: io.BytesIO(blob[at:]), progress.append)
    assert progress[-1] == len(blob)


def push(registries: RemoteRegistries, address: str, path: str, credentials: Credentials = NOBODY) -> Digest:
    """One image of one layer as `path:latest`."""
    repository = registries.pushing(address, path, credentials)
    for blob in (CONFIG, LAYER):
        send(repository, blob)
    return repository.put_manifest("latest", oci.OCI_MANIFEST, manifest(CONFIG, LAYER))


def test_what_is_pushed_is_pulled(registry: Registry, registries: RemoteRegistries) -> None:
    digest = push(registries, registry.address, "team/app")
    repository = registries.pulling(registry.address, "team/app", NOBODY)
    found = repository.resolve("latest")
    assert (found.digest, found.media_type) == (digest, oci.OCI_MANIFEST)
    assert repository.resolve(digest) == found
    assert repository.manifest(found) == manifest(CONFIG, LAYER)
    with repository.blob(described(LAYER)) as stream:
        assert stream.read() == LAYER
    with repository.blob(described(LAYER), 1000) as stream:
        assert stream.read() == LAYER[1000:]
    with repository.blob(described(LAYER), len(LAYER)) as stream:
        assert stream.read() == b""
    assert registry.blob(digest_of(LAYER)).read_bytes() == LAYER


def test_a_neighbour_s_blob_is_mounted(registry: Registry, registries: RemoteRegistries) -> None:
    push(registries, registry.address, "team/first")
    other = registries.pushing(registry.address, "team/second", NOBODY)
    assert not other.has_blob(digest_of(LAYER))
    assert other.mount(digest_of(LAYER), "team/first")
    assert other.has_blob(digest_of(LAYER))
    assert not other.mount(digest_of(b"not there"), "team/first")


def test_referrers_are_found_by_their_tag(registry: Registry, registries: RemoteRegistries) -> None:
    """docker-registry 2.8 has no referrers API."""
    digest = push(registries, registry.address, "team/signed")
    repository = registries.pushing(registry.address, "team/signed", NOBODY)
    assert list(repository.referrers(digest)) == []
    entry = {"mediaType": oci.OCI_MANIFEST, "digest": digest, "size": 1, "artifactType": "application/x-signature"}
    index = json.dumps({"schemaVersion": 2, "mediaType": oci.OCI_INDEX, "manifests": [entry]}).encode()
    repository.put_manifest(digest.replace(":", "-"), oci.OCI_INDEX, index)
    assert [one.artifact_type for one in repository.referrers(digest)] == ["application/x-signature"]
    assert list(repository.referrers(digest, "application/other")) == []


def test_what_is_unknown_is_told_as_docker_tells_it(registry: Registry, registries: RemoteRegistries) -> None:
    push(registries, registry.address, "team/app")
    name = f"{registry.address}/team/app"
    with pytest.raises(NotFound) as unknown:
        registries.pulling(registry.address, "team/app", NOBODY).resolve("v9")
    assert str(unknown.value) == f"manifest for {name}:v9 not found: manifest unknown: manifest unknown"


def test_nobody_there(registries: RemoteRegistries, tmp_path: Path) -> None:
    with running_registry(tmp_path) as gone:
        pass
    with pytest.raises(Unreachable) as nobody:
        registries.pulling(gone.address, "a", NOBODY).resolve("latest")
    why = f"dial tcp {gone.address}: connect: connection refused"
    assert str(nobody.value) == f'Get "http://{gone.address}/v2/": {why}'
