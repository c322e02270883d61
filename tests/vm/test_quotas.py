"""Bounds of writable layers and volumes by project quotas, on file systems that have them: this project's own kernel has none."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sampan.files.quotas import open_quotas
from tests.daemons import Sampan

_FILL = "head -c {size} /dev/zero > {place}/f; echo ended with $?; stat -c %s {place}/f"


_MAKE = {
    "ext4": ["mkfs.ext4", "-q", "-O", "quota,project", "-E", "quotatype=prjquota"],
    "xfs": ["mkfs.xfs", "-q"],
}


@pytest.fixture(scope="module", params=sorted(_MAKE))
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sampan]:
    """A daemon whose data root is a file system of its own."""
    started = Sampan()
    image = tmp_path_factory.mktemp("disk") / "image"
    with image.open("wb") as file:
        file.truncate(512 << 20)
    subprocess.run([*_MAKE[request.param], image], check=True)
    started.data_root.mkdir()
    subprocess.run(["mount", "-o", "loop,prjquota", image, started.data_root], check=True)
    try:
        started.start()
        started.load_busybox()
        yield started
    finally:
        if started.process is not None:
            started.remove_containers()
            started.stop()
        subprocess.run(["umount", started.data_root], check=True)
        started.remove()


def run(engine: Sampan, *words: str) -> list[str]:
    done = engine.sampan("run", "--rm", "--net", "none", *words, timeout=240)
    assert done.code == 0, done
    return done.text.splitlines()


def test_a_writable_layer_is_bounded(engine: Sampan) -> None:
    lines = run(engine, "--storage-opt", "size=8m", "busybox", "sh", "-c", _FILL.format(size=20 << 20, place="/"))
    assert lines[-2] == "ended with 1"
    assert 6 << 20 < int(lines[-1]) <= 8 << 20
    lines = run(engine, "--storage-opt", "size=8m", "busybox", "sh", "-c", _FILL.format(size=4 << 20, place="/"))
    assert lines[-2:] == ["ended with 0", str(4 << 20)]


def test_what_is_in_the_image_can_be_changed_in_it(engine: Sampan) -> None:
    """Overlay makes files in its work directory and moves them: both are of one project, or that were EXDEV."""
    program = "mv /bin/busybox /bin/other; /bin/other echo x >> /bin/other; /bin/other rm -r /etc; echo done"
    assert run(engine, "--storage-opt", "size=16m", "busybox", "sh", "-c", program) == ["done"]


def test_a_volume_is_bounded(engine: Sampan) -> None:
    assert engine.sampan("volume", "create", "-o", "size=4m", "small").code == 0
    assert json.loads(engine.sampan("volume", "inspect", "small").text)[0]["Options"] == {"size": "4m"}
    lines = run(engine, "-v", "small:/v", "busybox", "sh", "-c", _FILL.format(size=20 << 20, place="/v"))
    assert lines[-2] == "ended with 1"
    assert 3 << 20 < int(lines[-1]) <= 4 << 20
    assert engine.sampan("volume", "rm", "small").code == 0


def test_a_bound_goes_with_what_it_bounded(engine: Sampan) -> None:
    made = engine.sampan("create", "--storage-opt", "size=8m", "busybox").text
    place = Path(engine.data_root, "rw", made)
    assert place.is_dir()
    quotas = open_quotas(engine.data_root)
    assert quotas is not None
    assert quotas.limit(place) == 8 << 20
    assert engine.sampan("rm", made).code == 0
    assert not place.exists()
