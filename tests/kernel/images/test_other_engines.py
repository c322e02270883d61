"""Archives to and from other engines: Debian's Docker, skopeo, umoci."""

import io
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sampan.content.store import Content
from sampan.errors import InvalidParameter
from sampan.images.images import Images
from sampan.images.loading import Loaded
from sampan.snapshots.overlay import OverlaySnapshotter
from sampan.spec.ids import ImageId
from sampan.state.store import Store
from tests.archives import PATH, Layer, busybox_archive, busybox_rootfs, docker_archive
from tests.daemons import Docker
from tests.oci_archives import OciArchive, digest_of, packed_gzip, packed_zstd
from tests.requires import requires

pytestmark = requires("root", "overlay")


class World:
    def __init__(self, root: Path) -> None:
        self.store = Store(root / "db")
        self.snapshots = OverlaySnapshotter(root)
        self.images = Images(self.store, Content(root / "content"), self.snapshots)

    def load(self, archive: bytes) -> ImageId:
        (loaded,) = [event for event in self.images.load(io.BytesIO(archive)) if isinstance(event, Loaded)]
        return loaded.image

    def save(self, *names: str) -> bytes:
        return b"".join(self.images.save(names))

    def close(self) -> None:
        self.snapshots.close()
        self.store.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    (tmp_path / "data").mkdir()
    made = World(tmp_path / "data")
    yield made
    made.close()


def second_layer() -> bytes:
    layer = Layer()
    layer.file("etc/.wh.group", b"")
    layer.file("www/index", b"hello from the second layer\n")
    return layer.tar()


def image(tag: str) -> bytes:
    config = {"Cmd": ["cat", "/www/index"], "Env": [PATH, "A=b"], "Labels": {"k": "v"}, "WorkingDir": "/www"}
    return docker_archive(tag, [busybox_rootfs(), second_layer()], config)


def run(*command: str | Path) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


@requires("dockerd", "docker-client")
def test_docker_loads_and_runs_what_is_saved(world: World, peer: Docker) -> None:
    identity = world.load(image("sampan-test:1"))
    outcome = peer.docker("load", stdin=world.save("sampan-test:1"))
    assert outcome.text == "Loaded image: sampan-test:1", outcome
    assert peer.docker("image", "inspect", "-f", "{{.Id}} {{.Size}}", "sampan-test:1").text == (
        f"{identity} {world.images.inspect('sampan-test:1').size}"
    )
    outcome = peer.docker("run", "--rm", "--net=none", "sampan-test:1")
    assert outcome.text == "hello from the second layer", outcome
    outcome = peer.docker("run", "--rm", "--net=none", "sampan-test:1", "ls", "/etc")
    assert "group" not in outcome.text.split()


@requires("dockerd", "docker-client")
def test_what_docker_saves_is_loaded(world: World, peer: Docker) -> None:
    peer.docker("load", stdin=image("sampan-test:2"))
    saved = peer.docker("save", "sampan-test:2", "busybox")
    assert saved.code == 0, saved
    loaded = [event for event in world.images.load(io.BytesIO(saved.out)) if isinstance(event, Loaded)]
    assert sorted(event.names for event in loaded) == [("busybox:latest",), ("sampan-test:2",)]
    for name in ("busybox:latest", "sampan-test:2"):
        seen = json.loads(peer.docker("image", "inspect", name).out)[0]
        ours = world.images.inspect(name)
        assert (ours.id, ours.size, list(ours.diff_ids)) == (seen["Id"], seen["Size"], seen["RootFS"]["Layers"])
        assert (ours.created, ours.architecture, ours.os) == (seen["Created"], seen["Architecture"], seen["Os"])
        assert (ours.config.env, ours.config.cmd) == (seen["Config"]["Env"], seen["Config"]["Cmd"])


@requires("dockerd", "docker-client")
def test_an_imported_root_is_the_same_for_both(world: World, peer: Docker, tmp_path: Path) -> None:
    tar = tmp_path / "root.tar"
    tar.write_bytes(busybox_rootfs())
    assert peer.docker("import", "--change", "ENV A=b", str(tar), "imported:1").code == 0
    with tar.open("rb") as stream:
        world.images.import_(stream, "imported", "1", ["ENV A=b"])
    seen = json.loads(peer.docker("image", "inspect", "imported:1").out)[0]
    ours = world.images.inspect("imported:1")
    assert list(ours.diff_ids) == seen["RootFS"]["Layers"]
    assert (ours.size, ours.comment, ours.config.env) == (seen["Size"], seen["Comment"], seen["Config"]["Env"])


@requires("skopeo")
def test_skopeo_reads_both_forms_and_writes_compressed_ones(world: World, tmp_path: Path) -> None:
    identity = world.load(image("sampan-test:3"))
    saved = tmp_path / "saved.tar"
    saved.write_bytes(world.save("sampan-test:3"))
    shown = json.loads(run("skopeo", "inspect", f"docker-archive:{saved}:docker.io/library/sampan-test:3"))
    assert shown["Labels"] == {"k": "v"}
    layout = tmp_path / "layout"
    layout.mkdir()
    run("tar", "-C", layout, "-xf", saved)
    shown = json.loads(run("skopeo", "inspect", "--config", f"oci:{layout}:3"))
    assert shown["config"]["Env"] == [PATH, "A=b"]
    packed = tmp_path / "packed.tar"
    run("skopeo", "copy", "-q", f"docker-archive:{saved}", f"oci-archive:{packed}:packed:4")
    (tmp_path / "other").mkdir()
    other = World(tmp_path / "other")
    try:
        other.load(packed.read_bytes())
        details = other.images.inspect("packed:4")
        assert details.diff_ids == world.images.inspect("sampan-test:3").diff_ids
        again = tmp_path / "again.tar"
        again.write_bytes(other.save("packed:4"))
        run("skopeo", "copy", "-q", f"docker-archive:{again}", f"dir:{tmp_path / 'out'}")
        assert world.load(other.save("packed:4")) == details.id
    finally:
        other.close()
    assert identity.startswith("sha256:")


def packed(pack: Callable[[bytes], bytes]) -> tuple[bytes, str]:
    """An OCI layout as a pull leaves it, and its manifest's digest."""
    archive = OciArchive()
    config = {"Cmd": ["cat", "/www/index"], "Env": [PATH], "WorkingDir": "/www"}
    made = archive.image([busybox_rootfs(), second_layer()], pack, config=config)
    archive.name(made, "docker.io/library/kept:1")
    return archive.tar(), str(made["digest"])


@requires("dockerd", "docker-client")
@pytest.mark.parametrize("pack", [packed_gzip, packed_zstd])
def test_docker_loads_what_keeps_its_manifest(world: World, peer: Docker, pack: Callable[[bytes], bytes]) -> None:
    identity = world.load(packed(pack)[0])
    outcome = peer.docker("load", stdin=world.save("kept:1"))
    assert outcome.text == "Loaded image: kept:1", outcome
    assert peer.docker("image", "inspect", "-f", "{{.Id}}", "kept:1").text == identity
    assert peer.docker("run", "--rm", "--net=none", "kept:1").text == "hello from the second layer"


@requires("skopeo", "buildah")
@pytest.mark.parametrize("pack", [packed_gzip, packed_zstd])
def test_others_read_what_keeps_its_manifest(world: World, tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    archive, digest = packed(pack)
    identity = world.load(archive)
    saved = tmp_path / "saved.tar"
    saved.write_bytes(world.save("kept:1"))
    out = tmp_path / "out"
    run("skopeo", "copy", "-q", f"oci-archive:{saved}:1", f"dir:{out}")
    assert digest_of((out / "manifest.json").read_bytes()) == digest
    run("skopeo", "copy", "-q", f"docker-archive:{saved}", f"dir:{tmp_path / 'docker'}")
    config = json.loads((tmp_path / "docker/manifest.json").read_text())["config"]["digest"]
    assert config == identity
    storage: list[str | Path] = ["--root", tmp_path / "root", "--runroot", tmp_path / "run", "--storage-driver", "vfs"]
    pulled = run("buildah", *storage, "pull", "-q", f"docker-archive:{saved}").strip()
    assert f"sha256:{pulled}" == identity


@requires("umoci")
def test_an_image_of_umoci(world: World, tmp_path: Path) -> None:
    layout, bundle = tmp_path / "layout", tmp_path / "bundle"
    run("umoci", "init", "--layout", layout)
    run("umoci", "new", "--image", f"{layout}:v1")
    run("umoci", "unpack", "--image", f"{layout}:v1", bundle)
    (bundle / "rootfs/hello").write_text("from umoci")
    run("umoci", "repack", "--image", f"{layout}:v1", bundle)
    run("umoci", "config", "--image", f"{layout}:v1", "--config.cmd", "sh")
    archive = tmp_path / "layout.tar"
    run("tar", "-C", layout, "-cf", archive, ".")
    identity = world.load(archive.read_bytes())
    assert world.images.config(identity).cmd == ["sh"]
    chain = world.images.chain(identity)
    assert chain is not None
    assert Path(world.snapshots.layer_directories(chain)[0], "hello").read_text() == "from umoci"
    assert world.images.familiar_names(identity) == ()


def test_a_truncated_archive_leaves_nothing(world: World, tmp_path: Path) -> None:
    archive = busybox_archive()
    for end in (100, 5000, len(archive) // 2, len(archive.rstrip(b"\0")) - 10):
        with pytest.raises(InvalidParameter):
            world.load(archive[:end])
    assert list((tmp_path / "data/content/blobs/sha256").iterdir()) == []
    assert world.snapshots.layers() == ()
    assert world.images.count() == 1
