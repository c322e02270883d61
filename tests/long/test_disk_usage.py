"""`system df` with a million files in writable layers, volumes and image layers: told at once, and right."""

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemons import Sampan
from tests.requires import requires
from tests.waiting import eventually

pytestmark = requires("root", "overlay", "netns", "docker-client", "busybox")
_HALF = int(os.environ.get("FILES", "1000000")) // 2
_MAKE = """
import os
for directory in range({dirs}):
    os.makedirs(f"{place}/{{directory}}")
    for name in range(500):
        with open(f"{place}/{{directory}}/{{name}}", "w") as file:
            file.write("x" * (name % 97))
"""


@pytest.fixture(scope="module")
def engine(engine: Sampan) -> Iterator[Sampan]:
    """With half a million files in a volume and as many in a running container's layer."""
    engine.docker("volume", "create", "large")
    engine.docker("run", "-d", "--name", "busy", "--net", "none", "-v", "large:/v", "busybox", "sleep", "100000")
    upper = engine.docker("inspect", "-f", "{{.GraphDriver.Data.UpperDir}}", "busy").text
    for place in (f"{engine.data_root}/volumes/large/_data", upper):
        subprocess.run(["python3", "-c", _MAKE.format(dirs=_HALF // 500, place=place)], check=True)
    yield engine
    engine.remove_containers()
    engine.docker("volume", "rm", "large")


def usage(engine: Sampan) -> tuple[float, dict[str, int]]:
    began = time.monotonic()
    found = engine.api("GET", "/system/df", timeout=600).json()
    took = time.monotonic() - began
    assert isinstance(found, dict)
    sizes = {container["Names"][0]: container["SizeRw"] for container in found["Containers"]}
    return took, sizes | {volume["Name"]: volume["UsageData"]["Size"] for volume in found["Volumes"]}


def truth(place: str) -> int:
    return sum(
        os.lstat(os.path.join(directory, name)).st_size for directory, _, names in os.walk(place) for name in names
    )


def test_a_million_files(engine: Sampan) -> None:
    upper = engine.docker("inspect", "-f", "{{.GraphDriver.Data.UpperDir}}", "busy").text
    volume = f"{engine.data_root}/volumes/large/_data"
    first, sizes = usage(engine)
    print(f"first answer, which measures: {first:.2f} s")
    assert sizes == {"/busy": truth(upper), "large": truth(volume)}
    times = sorted(usage(engine)[0] for _ in range(50))
    print(f"df: median {times[25] * 1000:.1f} ms, largest {times[-1] * 1000:.1f} ms")
    assert times[25] < 0.05
    engine.docker(
        "exec", "busy", "sh", "-c", "head -c 3000000 /dev/zero > /grown; head -c 4000000 /dev/zero > /v/grown"
    )
    grown = {"/busy": truth(upper), "large": truth(volume)}
    # What is large is walked again within ten times what a walk takes.
    eventually(lambda: usage(engine)[1] == grown, seconds=60 + 25 * first)
    engine.kill()
    engine.start()
    again, sizes = usage(engine)
    print(f"the next daemon's first answer: {again * 1000:.1f} ms")
    assert again < 1
    for name, place in (("/busy", upper), ("large", volume)):
        assert abs(sizes[name] - truth(place)) <= truth(place) * 0.01


def test_a_removal_is_answered_at_once(engine: Sampan) -> None:
    times = []
    for number in range(40):
        assert engine.docker("create", "--name", f"gone-{number}", "--net", "none", "busybox").code == 0
    for number in range(40):
        began = time.monotonic()
        assert engine.api("DELETE", f"/containers/gone-{number}").status == 204
        times.append(time.monotonic() - began)
    times.sort()
    print(f"removal: median {times[20] * 1000:.2f} ms")
    assert times[20] < 0.005
    assert not list(Path(engine.data_root, "containers").glob("gone-*"))
