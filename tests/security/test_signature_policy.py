"""`policy.json` and the real docker-registry: what is not signed by the key does not come, and says why."""

import json
import urllib.request
from pathlib import Path

from tests.archives import busybox_archive
from tests.daemons import Sampan, running_sampan
from tests.registries import Registry, running_registry
from tests.requires import requires
from tests.unit.images.registry import described, digest_of
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
