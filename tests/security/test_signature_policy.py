"""`policy.json` and the real docker-registry: what is not signed by the key does not come, and says why."""

import json
import urllib.request
from pathlib import Path

import pytest

from tests.archives import busybox_archive
from tests.daemons import Sampan, running_sampan
from tests.registries import Handler, Registry, running_registry
from tests.requires import requires
from tests.security.shelf import INDEX, MANIFEST, Shelf, described, digest_of, hostile, tar
from tests.unit.images.signing import PAYLOAD, Signer, manifest

pytestmark = requires("root", "overlay", "docker-registry", "docker-client", "busybox")


def send(registry: Registry, method: str, path: str, data: bytes, media_type: str) -> str:
    url = path if "://" in path else f"http://{registry.address}{path}"
    request = urllib.request.Request(url, data, {"Content-Type": media_type}, method=method)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return str(answer.headers.get("Location", ""))


def upload(registry: Registry, data: bytes) -> None:
    place = send(registry, "POST", "/v2/app/blobs/uploads/", b"", "application/octet-stream")
    send(registry, "PUT", f"{place}&digest={digest_of(data)}", data, "application/octet-stream")


def sign(registry: Registry, signer: Signer, digest: str) -> None:
    payload, signature = signer.sign(digest, f"{registry.address}/app")
    for blob in (b"{}", payload):
        upload(registry, blob)
    layer = described(PAYLOAD, payload, annotations={"dev.cosignproject.cosign/signature": signature})
    tag = digest.replace(":", "-") + ".sig"
    document = manifest(described("", b"{}"), layer)
    send(registry, "PUT", f"/v2/app/manifests/{tag}", document, "application/vnd.oci.image.manifest.v1+json")


def blobs(engine: Sampan) -> int:
    return len(list((engine.data_root / "content/blobs/sha256").iterdir()))


def test_only_what_the_key_signed_is_pulled(tmp_path: Path) -> None:
    signer, stranger = Signer(), Signer()
    (tmp_path / "key.pub").write_bytes(signer.public)
    rule = {
        "type": "sigstoreSigned",
        "keyPath": str(tmp_path / "key.pub"),
        "signedIdentity": {"type": "matchRepository"},
    }
    (tmp_path / "policy.json").write_text(json.dumps({"default": [rule]}))
    (tmp_path / "daemon.json").write_text("{}")
    with (
        running_registry(tmp_path / "registry") as registry,
        running_sampan("--config-file", str(tmp_path / "daemon.json")) as engine,
    ):
        name = f"{registry.address}/app:1"
        assert engine.docker("load", stdin=busybox_archive(name)).code == 0
        pushed = engine.docker("push", name)
        digest = pushed.text.rpartition("digest: ")[2].partition(" ")[0]
        assert engine.docker("rmi", name).code == 0
        unsigned = engine.docker("pull", name)
        assert unsigned.code == 1
        told = "Source image rejected: A signature was required, but no signature exists"
        assert told in unsigned.err.decode()
        sign(registry, stranger, digest)
        wrong = engine.docker("run", "--rm", name, "true")
        assert wrong.code == 125
        assert "None of the signatures were accepted" in wrong.err.decode()
        assert blobs(engine) == 0
        sign(registry, signer, digest)
        assert engine.docker("run", "--rm", name, "echo", "signed").out == b"signed\n"


ARTIFACT = "application/vnd.dev.cosign.artifact.sig.v1+json"


class Referring:
    """A registry with the referrers API of OCI 1.1, or with the tag that stands for it where a registry has no such API."""

    def __init__(self, shelf: Shelf, *, by_tag: bool) -> None:
        self.shelf = shelf
        self.by_tag = by_tag
        self.subject = ""
        self.entries: list[dict[str, object]] = []
        shelf.instead = self.answer

    def refer(self, data: bytes, artifact_type: str) -> None:
        """One more manifest that speaks of the subject."""
        self.shelf.manifest("", MANIFEST, data)
        self.entries.append(described(MANIFEST, data, artifactType=artifact_type))

    def sign(self, signer: Signer, name: str, digest: str = "") -> None:
        payload, signature = signer.sign(digest or self.subject, name)
        self.shelf.blobs[digest_of(payload)] = payload
        layer = described(PAYLOAD, payload, annotations={"dev.cosignproject.cosign/signature": signature})
        self.refer(manifest(described("", b"{}"), layer), ARTIFACT)

    def answer(self, handler: Handler, name: str) -> bool:
        place = (
            f"/v2/a/manifests/{self.subject.replace(':', '-')}" if self.by_tag else f"/v2/a/referrers/{self.subject}"
        )
        if handler.path.partition("?")[0] != place:
            if "/referrers/" in handler.path:
                handler.error(404, "NOT_FOUND")
            return "/referrers/" in handler.path
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": self.entries}
        handler.answer(200, json.dumps(index).encode(), Content_Type=INDEX)
        return True


@pytest.mark.parametrize("by_tag", [False, True])
def test_signatures_that_are_referrers(tmp_path: Path, by_tag: bool) -> None:
    signer, stranger = Signer(), Signer()
    (tmp_path / "key.pub").write_bytes(signer.public)
    rule = {
        "type": "sigstoreSigned",
        "keyPath": str(tmp_path / "key.pub"),
        "signedIdentity": {"type": "matchRepository"},
    }
    (tmp_path / "policy.json").write_text(json.dumps({"default": [rule]}))
    (tmp_path / "daemon.json").write_text("{}")
    with (
        hostile() as (shelf, registry),
        running_sampan("--config-file", str(tmp_path / "daemon.json")) as engine,
    ):
        name = f"{registry.address}/a"
        shelf.image(tar())
        referring = Referring(shelf, by_tag=by_tag)
        referring.subject = digest_of(shelf.manifests["latest"][1])

        def refused(why: str) -> None:
            outcome = engine.docker("pull", name)
            assert outcome.code == 1
            assert f"Source image rejected: {why}" in outcome.err.decode()
            assert blobs(engine) == 0

        refused("A signature was required, but no signature exists")
        referring.refer(manifest(described("", b"{}")), "application/vnd.example.sbom")
        refused("A signature was required, but no signature exists")
        referring.sign(stranger, name)
        refused("None of the signatures were accepted")
        referring.sign(signer, name, digest="sha256:" + "d" * 64)
        refused("None of the signatures were accepted")
        referring.sign(signer, f"{registry.address}/another")
        refused("None of the signatures were accepted")
        referring.sign(signer, name)
        assert engine.docker("pull", name).code == 0
        assert blobs(engine) > 0


def test_referrers_without_end(tmp_path: Path) -> None:
    """Only so many are looked at, however many the registry tells of."""
    signer, stranger = Signer(), Signer()
    (tmp_path / "key.pub").write_bytes(signer.public)
    rule = {
        "type": "sigstoreSigned",
        "keyPath": str(tmp_path / "key.pub"),
        "signedIdentity": {"type": "matchRepository"},
    }
    (tmp_path / "policy.json").write_text(json.dumps({"default": [rule]}))
    (tmp_path / "daemon.json").write_text("{}")
    with (
        hostile() as (shelf, registry),
        running_sampan("--config-file", str(tmp_path / "daemon.json")) as engine,
    ):
        name = f"{registry.address}/a"
        shelf.image(tar())
        referring = Referring(shelf, by_tag=False)
        referring.subject = digest_of(shelf.manifests["latest"][1])
        for _ in range(1000):
            referring.sign(stranger, name)
        before = len(registry.received)
        assert engine.docker("pull", name).code == 1
        assert len(registry.received) - before < 100
