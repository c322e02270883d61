"""Where docker-registry is asked and how it is trusted: TLS, authorities, client certificates, users, mirrors."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from sampan.registry.faults import Refused, Unreachable
from sampan.registry.protocol import Credentials
from sampan.registry.registries import RemoteRegistries
from sampan.registry.settings import Settings
from sampan.spec import oci_image as oci
from tests.api.test_registry_client import LAYER, described, push
from tests.registries import Certificates, make_certificates, running_registry
from tests.requires import requires

pytestmark = requires("docker-registry", "htpasswd")

NOBODY, ME = Credentials(), Credentials("me", "secret")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def known(tmp_path: Path) -> Path:
    """A `certs.d`."""
    (tmp_path / "certs.d").mkdir()
    return tmp_path / "certs.d"


@pytest.fixture
def registries(known: Path) -> Iterator[RemoteRegistries]:
    made = RemoteRegistries(Settings(certificates=(known,)))
    yield made
    made.close()


def trust(known: Path, address: str, certificates: Certificates, client: bool = False) -> Path:
    place = known / address
    place.mkdir()
    shutil.copy(certificates.ca, place / "ca.crt")
    if client:
        for file in certificates.pair("client"):
            shutil.copy(file, place)
    return place


def resolve(registries: RemoteRegistries, address: str, credentials: Credentials = NOBODY) -> oci.Descriptor:
    return registries.pulling(address, "app", credentials).resolve("latest")


def test_a_private_authority(
    tmp_path: Path, known: Path, certificates: Certificates, registries: RemoteRegistries
) -> None:
    with running_registry(tmp_path / "r", tls=certificates) as registry:
        with pytest.raises(Unreachable, match="x509: certificate signed by unknown authority"):
            resolve(registries, registry.secure_address)
        trust(known, registry.secure_address, certificates)
        digest = push(registries, registry.secure_address, "app")
        assert resolve(registries, registry.secure_address).digest == digest
        # The insecure name needs no proof, and TLS is what is tried first.
        assert resolve(registries, registry.address).digest == digest


def test_client_certificates(
    tmp_path: Path, known: Path, certificates: Certificates, registries: RemoteRegistries
) -> None:
    with running_registry(tmp_path / "r", tls=certificates, client_ca=certificates.ca) as registry:
        place = trust(known, registry.secure_address, certificates)
        with pytest.raises(Unreachable):
            resolve(registries, registry.secure_address)
        for file in certificates.pair("client"):
            shutil.copy(file, place)
        push(registries, registry.secure_address, "app")
        with registries.pulling(registry.secure_address, "app", NOBODY).blob(described(LAYER)) as stream:
            assert stream.read() == LAYER


def test_users(tmp_path: Path, known: Path, certificates: Certificates, registries: RemoteRegistries) -> None:
    with running_registry(tmp_path / "r", tls=certificates, users={"me": "secret"}) as registry:
        address = registry.secure_address
        trust(known, address, certificates)
        push(registries, address, "app", ME)
        url = f"https://{address}/v2/app/manifests/latest"
        with pytest.raises(Refused) as nobody:
            resolve(registries, address)
        assert str(nobody.value) == f'Head "{url}": no basic auth credentials'
        with pytest.raises(Refused) as wrong:
            resolve(registries, address, Credentials("me", "wrong"))
        assert str(wrong.value) == "unauthorized: authentication required"
        assert registries.login(address, ME) == ""


def test_mirrors_of_a_registry_and_what_becomes_of_one_that_fails(
    tmp_path: Path, known: Path, registries: RemoteRegistries
) -> None:
    with running_registry(tmp_path / "near") as near, running_registry(tmp_path / "far") as far:
        digest = push(registries, far.address, "app")
        place = known / far.address
        place.mkdir()
        hosts = f'[host."http://127.0.0.1:1"]\n[host."http://{near.address}"]\ncapabilities = ["pull", "resolve"]\n'
        (place / "hosts.toml").write_text(hosts)
        # Neither of the mirrors has it: nobody is at the first, the second is empty.
        assert resolve(registries, far.address).digest == digest
        assert "app/manifests/latest" in near.requests()
        push(registries, near.address, "app")
        before = far.requests()
        repository = registries.pulling(far.address, "app", NOBODY)
        assert repository.resolve("latest").digest == digest
        with repository.blob(described(LAYER)) as stream:
            assert stream.read() == LAYER
        assert far.requests() == before
        # What is pushed goes to the registry itself.
        push(registries, far.address, "other")
        assert "/v2/other/" not in near.requests()
