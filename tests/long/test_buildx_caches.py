"""Caches with the real buildx: directories of the client, registries, images, clouds; what stays in the client's directory."""

import json
import re
from pathlib import Path

import pytest

from tests.daemons import Sampan
from tests.long.buildx import Buildx, ok, steps
from tests.registries import running_registry
from tests.requires import requires

pytestmark = requires("root", "overlay", "netns", "bridge", "nftables", "busybox")

STAGES = """FROM busybox AS below
RUN echo below > /below
FROM busybox
COPY --from=below /below /x
RUN echo top >> /x
"""


@pytest.fixture
def place(tmp_path: Path) -> str:
    (tmp_path / "context").mkdir()
    (tmp_path / "context" / "Dockerfile").write_text(STAGES)
    return str(tmp_path / "context")


@pytest.mark.parametrize(("mode", "kept"), [("min", 2), ("max", 3)])
def test_a_directory_of_the_client(buildx: Buildx, place: str, tmp_path: Path, mode: str, kept: int) -> None:
    cache = tmp_path / "cache"
    ok(buildx("build", "--cache-to", f"type=local,dest={cache},mode={mode}", place))
    index = json.loads((cache / "index.json").read_text())
    assert [entry["annotations"]["org.opencontainers.image.ref.name"] for entry in index["manifests"]] == ["latest"]
    blobs = sorted((cache / "blobs" / "sha256").iterdir())
    assert not list((cache / "ingest").iterdir()) if (cache / "ingest").exists() else True
    ok(buildx("buildx", "prune", "-af"))
    again = buildx("build", "--progress=plain", "--cache-from", f"type=local,src={cache}", place)
    assert steps(again, "CACHED") >= kept - 1
    # Sent again, nothing is there twice, and nothing is begun and left.
    ok(buildx("build", "--cache-to", f"type=local,dest={cache},mode={mode},tag=other", place))
    assert len(list((cache / "blobs" / "sha256").iterdir())) >= len(blobs)
    assert len(json.loads((cache / "index.json").read_text())["manifests"]) == 2
    ok(buildx("buildx", "prune", "-af"))
    tagged = buildx("build", "--progress=plain", "--cache-from", f"type=local,src={cache},tag=other", place)
    assert steps(tagged, "CACHED") >= kept - 1


def test_a_spoilt_directory_is_a_miss(buildx: Buildx, place: str, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    ok(buildx("build", "--cache-to", f"type=local,dest={cache},mode=max", place))
    for blob in (cache / "blobs" / "sha256").iterdir():
        data = bytearray(blob.read_bytes())
        data[len(data) // 2] ^= 0xFF
        blob.chmod(0o644)
        blob.write_bytes(bytes(data))
    ok(buildx("buildx", "prune", "-af"))
    done = buildx("build", "--progress=plain", "--cache-from", f"type=local,src={cache}", place)
    assert steps(done, "CACHED") == 0
    assert "importing cache manifest" in ok(done)
    missing = buildx("build", "--cache-from", f"type=local,src={tmp_path}/nothing", place)
    ok(missing)


def test_registries_with_max_and_errors_that_are_ignored(buildx: Buildx, place: str, tmp_path: Path) -> None:
    with running_registry(tmp_path / "registry") as registry:
        to = f"type=registry,ref={registry.address}/cache:1"
        ok(buildx("build", "--no-cache", "--cache-to", f"{to},mode=max", place))
        ok(buildx("buildx", "prune", "-af"))
        assert steps(buildx("build", "--progress=plain", "--cache-from", to, place), "CACHED") >= 2
    nobody = "type=registry,ref=127.0.0.1:1/cache"
    assert buildx("build", "--cache-to", nobody, place).code != 0
    ignored = buildx("build", "--progress=plain", "--cache-to", f"{nobody},ignore-error=true", place)
    assert "exporting cache" in ok(ignored)
    ok(buildx("build", "--cache-from", nobody, place))


def test_a_cache_in_the_image(engine: Sampan, buildx: Buildx, place: str, tmp_path: Path) -> None:
    with running_registry(tmp_path / "registry") as registry:
        name = f"{registry.address}/inline:1"
        ok(buildx("build", "--no-cache", "--cache-to", "type=inline", "--push", "-t", name, place))
        ok(engine.docker("rmi", "-f", name))
        ok(buildx("buildx", "prune", "-af"))
        again = buildx("build", "--progress=plain", "--cache-from", name, "-t", "near", place)
        assert steps(again, "CACHED") >= 2
        by_argument = ("--build-arg", "BUILDKIT_INLINE_CACHE=1")
        ok(buildx("build", *by_argument, "--push", "-t", name, place))


@pytest.mark.parametrize(
    "kind", ["gha,url=http://127.0.0.1:1,token=x", "s3,region=x,bucket=y", "azblob,account_url=http://127.0.0.1:1"]
)
@pytest.mark.parametrize("way", ["--cache-to", "--cache-from"])
def test_clouds_are_refused_by_name(buildx: Buildx, place: str, kind: str, way: str) -> None:
    done = buildx("build", way, f"type={kind}", place)
    name = kind.partition(",")[0]
    assert re.search(
        rf"not implemented by Sampan yet: {way} type={name}; use type=registry or type=local", done.err.decode()
    ), done
    assert done.code != 0
