"""A registry that lies, breaks off or says no: the error is clear, nothing of it stays, and the next pull goes on."""

import gzip
import json
import subprocess
import threading

import pytest

from tests.archives import Layer
from tests.daemons import Outcome, Sampan, scrubbed_environment
from tests.registries import Handler, Scripted
from tests.requires import requires
from tests.security.shelf import INDEX, MANIFEST, described, digest_of, hostile, tar

pytestmark = requires("root", "overlay", "docker-client", "busybox")


def kept(engine: Sampan) -> tuple[set[str], set[str], bytes]:
    """Blobs, layers and names."""
    blobs = {path.name for path in (engine.data_root / "content/blobs/sha256").iterdir()}
    layers = {path.name for path in (engine.data_root / "layers/overlay").iterdir() if path.name != "l"}
    return blobs, layers, engine.docker("image", "ls", "-a", "--no-trunc").out


def partials(engine: Sampan) -> set[str]:
    return {path.name for path in (engine.data_root / "content/ingest").iterdir()}


def refused(engine: Sampan, registry: Scripted, said: str) -> Outcome:
    """The pull fails with these words, and nothing is there that was not before."""
    before = kept(engine)
    outcome = engine.docker("pull", f"{registry.address}/a", timeout=120)
    assert outcome.code == 1, outcome
    assert said in outcome.err.decode(), outcome
    assert kept(engine) == before
    return outcome


def pulled(engine: Sampan, registry: Scripted) -> None:
    """The same image, now that the registry is an honest one."""
    name = f"{registry.address}/a"
    outcome = engine.docker("pull", name)
    assert outcome.code == 0, outcome
    assert engine.docker("rmi", name).code == 0


def test_a_layer_that_is_another(engine: Sampan) -> None:
    with hostile() as (shelf, registry):
        blob = shelf.image(tar())
        shelf.blobs[digest_of(blob)] = bytes(len(blob))
        refused(engine, registry, f"filesystem layer verification failed for digest {digest_of(blob)}")
        assert partials(engine) == set()
        shelf.blobs[digest_of(blob)] = blob
        pulled(engine, registry)


def test_a_manifest_that_is_another(engine: Sampan) -> None:
    with hostile() as (shelf, registry):
        shelf.image(tar())
        digest = digest_of(shelf.manifests["latest"][1])

        def lie(handler: Handler, name: str) -> bool:
            if handler.command == "GET" and name == digest:
                handler.answer(200, b"{}", Content_Type=MANIFEST)
                return True
            return False

        shelf.instead = lie
        refused(engine, registry, f"manifest verification failed for digest {digest}")


def test_a_size_that_is_not_so(engine: Sampan) -> None:
    with hostile() as (shelf, registry):
        shelf.image(tar(), size=5)
        refused(engine, registry, "verification failed")


def test_a_cut_layer_is_gone_on_with(engine: Sampan) -> None:
    content = bytes(range(256)) * 2000
    with hostile() as (shelf, registry):
        blob = shelf.image(tar(content))
        cuts = [1000, 100_000]

        def cut(handler: Handler, name: str) -> bool:
            if name != digest_of(blob) or not cuts:
                return False
            start = int(handler.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
            span = {"Content_Range": f"bytes {start}-{len(blob) - 1}/{len(blob)}"} if start else {}
            handler.head(206 if start else 200, Content_Length=str(len(blob) - start), **span)
            handler.wfile.write(blob[start : start + cuts.pop()])
            handler.cut()
            return True

        shelf.instead = cut
        pulled(engine, registry)
        assert registry.sent("range") == ["bytes=100000-", "bytes=101000-"]


def test_after_a_kill_the_next_pull_goes_on(engine: Sampan) -> None:
    content = bytes(range(256)) * 4000
    with hostile() as (shelf, registry):
        blob = shelf.image(tar(content))

        def stall(handler: Handler, name: str) -> bool:
            if name != digest_of(blob):
                return False
            handler.head(200, Content_Length=str(len(blob)))
            handler.wfile.write(blob[: 1 << 19])
            handler.wfile.flush()
            handler.stall()
            return True

        shelf.instead = stall
        before = kept(engine)
        puller = threading.Thread(target=lambda: engine.docker("pull", f"{registry.address}/a"))
        puller.start()
        partial = engine.data_root / "content/ingest" / f"partial-{digest_of(blob).removeprefix('sha256:')}"
        while not partial.exists() or partial.stat().st_size < 1 << 18:
            assert puller.is_alive()
        engine.kill()
        puller.join()
        there = partial.stat().st_size
        shelf.instead = lambda handler, name: False
        engine.start()
        assert kept(engine) == before
        pulled(engine, registry)
        assert registry.sent("range") == [f"bytes={there}-"]


def test_a_client_that_leaves_ends_the_pull(engine: Sampan) -> None:
    with hostile() as (shelf, registry):
        blob = shelf.image(tar(bytes(range(256)) * 4000))

        def trickle(handler: Handler, name: str) -> bool:
            if name != digest_of(blob):
                return False
            handler.head(200, Content_Length=str(len(blob)))
            for at in range(0, len(blob), 1000):
                handler.wfile.write(blob[at : at + 1000])
                handler.wfile.flush()
                if registry.released.wait(0.05):
                    break
            return True

        shelf.instead = trickle
        command = ["docker", "pull", f"{registry.address}/a"]
        environment = {**scrubbed_environment(), "DOCKER_HOST": engine.host}
        client = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        assert client.stdout is not None
        while "Pulling fs layer" not in client.stdout.readline():
            pass
        client.terminate()
        client.wait(10)
        client.stdout.close()
        shelf.instead = lambda handler, name: False
        # The partial is in other hands until the first pull has let go of it.
        pulled(engine, registry)


def test_a_bomb_ends_at_the_disk(engine: Sampan) -> None:
    """More than unpacks here: the tar's head announces what no disk holds."""
    layer = Layer()
    layer.file("big", b"")
    head = bytearray(layer.tar()[:512])
    head[124:136] = b"\x80" + (1 << 50).to_bytes(11, "big")
    head[148:156] = b" " * 8
    head[148:156] = f"{sum(head):06o}\0 ".encode()
    bomb = bytes(head) + bytes(1 << 20)
    with hostile() as (shelf, registry):
        shelf.image(bomb, gzip.compress(bomb, 9, mtime=0))
        refused(engine, registry, "failed to register layer: ")


def test_an_index_that_leads_nowhere(engine: Sampan) -> None:
    with hostile() as (shelf, registry):
        entry = described(INDEX, b"never there", platform={"os": "linux", "architecture": "amd64"})
        shelf.manifest("latest", INDEX, json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode())
        refused(engine, registry, "manifest unknown")


def test_indexes_without_end(engine: Sampan) -> None:
    platform = {"os": "linux", "architecture": "amd64"}
    with hostile() as (shelf, registry):
        data = b"{}"
        for number in range(8):
            entry = described(INDEX, data, platform=platform)
            data = json.dumps({"schemaVersion": 2, "manifests": [entry], "annotations": {"n": str(number)}}).encode()
            shelf.manifest("latest", INDEX, data)
        refused(engine, registry, "nested too deeply")


def test_no_platform_of_ours(engine: Sampan) -> None:
    with hostile() as (shelf, registry):
        entry = described(MANIFEST, b"x", platform={"os": "plan9", "architecture": "amd64"})
        shelf.manifest("latest", INDEX, json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode())
        refused(engine, registry, "no matching manifest for linux/amd64 in the manifest list entries")


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (401, "UNAUTHORIZED", "unauthorized: "),
        (403, "DENIED", "pull access denied for "),
        (404, "NAME_UNKNOWN", "not found"),
        (429, "TOOMANYREQUESTS", "toomanyrequests: "),
        (500, "UNKNOWN", "received unexpected HTTP status: 500 Internal Server Error"),
    ],
)
@pytest.mark.parametrize("where", ["manifest", "layer"])
def test_a_registry_that_says_no(engine: Sampan, where: str, status: int, code: str, said: str) -> None:
    with hostile() as (shelf, registry):
        blob = shelf.image(tar())

        def refuse(handler: Handler, name: str) -> bool:
            if name != ("latest" if where == "manifest" else digest_of(blob)):
                return False
            # More than anybody waits for: it fails at once.
            later = {"Retry-After": "3600"} if status in (429, 500) else {}
            handler.error(status, code, "because", **later)
            return True

        shelf.instead = refuse
        refused(engine, registry, said)
        shelf.instead = lambda handler, name: False
        pulled(engine, registry)


def test_media_types_that_are_no_image(engine: Sampan) -> None:
    with hostile() as (shelf, registry):
        document = {"schemaVersion": 2, "mediaType": MANIFEST, "config": described("application/vnd.x.config", b"{}")}
        document["layers"] = [described("application/vnd.x.layer", b"x")]
        shelf.manifest("latest", MANIFEST, json.dumps(document).encode())
        refused(engine, registry, "unsupported media type application/vnd.x.config")
