"""The content store under a real daemon: what removal gives back, the ledger against a walk, and `system check`."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from sampan.files.measure import measure
from tests.archives import Layer, docker_archive
from tests.daemons import Outcome, Sampan, running_sampan
from tests.requires import requires
from tests.waiting import eventually

pytestmark = requires("root", "overlay", "docker-client", "busybox")
MANY = 100


def _image(tag: str, *sizes: int) -> bytes:
    layers = []
    for index, size in enumerate(sizes):
        layer = Layer()
        layer.file(f"file-{index}-{size}", os.urandom(size))
        layers.append(layer.tar())
    return docker_archive(tag, layers, {"Cmd": ["sh"]})


def _load(engine: Sampan, archive: bytes) -> None:
    assert engine.docker("load", "-q", stdin=archive).code == 0


@pytest.fixture
def alone() -> Iterator[Sampan]:
    with running_sampan() as engine:
        yield engine


def _walked(root: Path) -> tuple[int, int]:
    """Bytes of layers and of blobs, as a walk finds them."""
    total = 0
    for layer in (root / "layers/overlay").iterdir():
        if layer.name != "l":
            descriptor = os.open(layer / "diff", os.O_RDONLY | os.O_DIRECTORY)
            total += measure(descriptor)[0]
            os.close(descriptor)
    return total, sum(path.stat().st_size for path in (root / "content/blobs/sha256").iterdir())


def _data_root(engine: Sampan) -> Path:
    return engine.data_root


def _wait_for_room(engine: Sampan) -> None:
    trashes = [_data_root(engine) / "trash", _data_root(engine) / "content/trash"]
    eventually(lambda: not any(os.listdir(trash) for trash in trashes), "the trash is not emptied")


def test_the_ledger_agrees_with_a_walk(alone: Sampan) -> None:
    alone.load_busybox()
    _load(alone, _image("a:1", 500_000, 70_000))
    _load(alone, _image("b:1", 300_000))
    root = _data_root(alone)
    for _ in range(2):
        layers, _blobs = _walked(root)
        usage = alone.api("GET", "/system/df?type=image").json()
        assert isinstance(usage, dict)
        assert abs(usage["LayersSize"] - layers) <= layers / 100
        assert sum(image["Size"] for image in usage["Images"]) == usage["LayersSize"], "nothing is shared here"
        alone.kill()
        alone.start()
    before = sum(_walked(root))
    assert alone.docker("rmi", "b:1").code == 0
    pruned = alone.api("POST", '/images/prune?filters={"dangling":["false"]}').json()
    assert isinstance(pruned, dict)
    usage = alone.api("GET", "/system/df?type=image").json()
    assert isinstance(usage, dict)
    _wait_for_room(alone)
    after = sum(_walked(root))
    assert (after, usage["LayersSize"]) == (0, 0)
    assert before - 300_000 - pruned["SpaceReclaimed"] < 310_000, "the rest is b:1 and its archive"


def test_df_takes_as_long_for_many_images_as_for_few(alone: Sampan) -> None:
    alone.load_busybox()
    few = _fastest(alone)
    layer = Layer()
    layer.file("shared", b"x" * 1000)
    for number in range(MANY):
        own = Layer()
        own.file("own", str(number).encode())
        _load_raw(alone, docker_archive(f"many:{number}", [layer.tar(), own.tar()], {"Cmd": [str(number)]}))
    many = _fastest(alone)
    print(f"system df: {few * 1000:.1f} ms with 1 image, {many * 1000:.1f} ms with {MANY}")
    # What is left to grow is the answer itself: a line of JSON for each image.
    assert many < few + 0.05


def _load_raw(engine: Sampan, archive: bytes) -> None:
    engine.api("POST", "/images/load?quiet=1", body=archive)


def _fastest(engine: Sampan) -> float:
    taken = []
    for _ in range(5):
        began = time.monotonic()
        engine.api("GET", "/system/df?type=image")
        taken.append(time.monotonic() - began)
    return min(taken)


def test_check_finds_and_mends(alone: Sampan) -> None:
    alone.load_busybox()
    whole = alone.sampan("system", "check")
    assert (whole.code, whole.text) == (0, "1 images, 2 blobs, 1 layers: all whole")
    (layer,) = (path for path in (_data_root(alone) / "layers/overlay").iterdir() if path.name != "l")
    (layer / "diff/etc/passwd").write_bytes(b"lost")
    found = alone.sampan("system", "check")
    assert found.code == 1
    heading, line, blank, verdict = found.text.splitlines()
    assert heading.split() == ["KIND", "NAME", "IMAGES", "PROBLEM", "WHAT", "TO", "DO"]
    assert line.split()[:3] == ["layer", layer.name[:12], "busybox:latest"]
    assert line.endswith("--repair")
    assert (blank, verdict) == ("", "1 images, 2 blobs, 1 layers: 1 found, 0 repaired")
    mended = alone.sampan("system", "check", "--repair")
    assert mended.code == 0
    assert "unpacked again" in mended.text
    assert alone.sampan("system", "check", "-q").code == 0
    assert alone.sampan("system", "check", "-q").out == b""
    assert alone.docker("run", "--rm", "--net", "none", "busybox", "cat", "/etc/passwd").text.startswith("root:")


def _offline(engine: Sampan, *more: str) -> Outcome:
    return engine.sampan("system", "check", "--offline", "--data-root", str(_data_root(engine)), *more)


def test_check_without_a_daemon(alone: Sampan) -> None:
    alone.load_busybox()
    busy = _offline(alone)
    assert busy.code == 1
    assert f"data root {_data_root(alone)} is in use by another daemon (pid " in busy.err.decode()
    running = alone.docker("run", "-d", "--net", "none", "busybox", "sleep", "1000").text
    alone.kill()
    assert _offline(alone).text == "1 images, 2 blobs, 1 layers: all whole"
    (layer,) = (path for path in (_data_root(alone) / "layers/overlay").iterdir() if path.name != "l")
    (layer / "diff/etc/passwd").write_bytes(b"lost")
    (_data_root(alone) / "content/blobs/sha256" / ("0" * 64)).write_bytes(b"what no image needs")
    found = _offline(alone)
    assert found.code == 1
    assert "1 images, 2 blobs, 1 layers: 2 found, 0 repaired" in found.text
    mended = _offline(alone, "--repair")
    assert mended.code == 1
    assert "stop the containers that run from it" in mended.text
    assert "2 found, 1 repaired" in mended.text
    # The next daemon finds its container as it was.
    alone.start()
    assert alone.docker("rm", "-f", running).code == 0
    alone.stop()
    assert _offline(alone, "--repair", "-q").code == 0
    alone.start()
    assert alone.docker("run", "--rm", "--net", "none", "busybox", "cat", "/etc/passwd").text.startswith("root:")


def test_check_of_what_is_no_data_root(alone: Sampan, tmp_path: Path) -> None:
    nothing = alone.sampan("system", "check", "--offline", "--data-root", str(tmp_path / "nowhere"))
    assert nothing.code == 1
    assert "is no data root" in nothing.err.decode()
    assert not (tmp_path / "nowhere").exists()
    assert "is for --offline" in alone.sampan("system", "check", "--data-root", "/").err.decode()


def test_rmi_returns_before_the_room_is_given_back(alone: Sampan) -> None:
    """A daemon that is killed right after its answer leaves the rest to the next one."""
    for _ in range(3):
        _load(alone, _image("big:1", 30_000_000))
        assert alone.docker("rmi", "big:1").code == 0
        alone.kill()
        alone.start()
        assert alone.sampan("system", "check").code == 0
        _wait_for_room(alone)
        assert sum(_walked(_data_root(alone))) == 0


def test_what_is_still_being_deleted_is_told(alone: Sampan) -> None:
    layer = Layer()
    for number in range(5_000):
        layer.file(f"file-{number}", b"x" * 1000)
    _load(alone, docker_archive("many:1", [layer.tar()], {"Cmd": ["sh"]}))
    assert alone.api("DELETE", "/images/many:1").status == 200
    told = json.loads(alone.api("GET", "/sampan/freeing").body)
    assert told["Items"] >= 1
    assert told["Size"] >= 5_000_000
    shown = alone.sampan("system", "df").text
    assert "Being deleted: " in shown or not any((_data_root(alone) / "trash").iterdir())
    _wait_for_room(alone)
    while json.loads(alone.api("GET", "/sampan/freeing").body) != {"Items": 0, "Size": 0}:
        time.sleep(0.01)
    assert "Being deleted" not in alone.sampan("system", "df").text


def test_rmi_for_a_platform(alone: Sampan) -> None:
    alone.load_busybox()

    def remove(*platforms: str) -> tuple[int, str]:
        query = "&".join("platforms=" + quote(json.dumps(dict(zip(("os", "architecture"), platform.split("/"), strict=True))))
                         for platform in platforms)  # fmt: skip
        answer = alone.api("DELETE", f"/v1.51/images/busybox?{query}")
        return answer.status, answer.body.decode()

    status, text = remove("linux/amd64", "linux/arm64")
    assert (status, "multiple platforms are not supported" in text) == (400, True)
    status, text = remove("linux/arm64")
    assert (status, "does not match the specified platform (linux/arm64)" in text) == (404, True)
    status, text = remove("linux/amd64")
    assert (status, '"Untagged":"busybox:latest"' in text) == (200, True)
