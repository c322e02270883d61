"""What the filter costs: the same loop of system calls under Docker's newest release and here, turn by turn, processor time alone.

Needs a quiet machine to say anything below a percent; it takes the least of its rounds.
"""

import re
from collections.abc import Iterator

import pytest

from tests.daemons import Daemon, running_sampan
from tests.long.newest import running_newest_docker
from tests.requires import requires

pytestmark = requires("root", "overlay", "netns", "mmdebstrap", "busybox")

ROUNDS = 15
LOOP = "time -p dd if=/dev/zero of=/dev/null bs=1 count=1500000"
"""Three million calls: reads and writes of one byte, which the kernel does as fast as it does anything."""
MOST = 1.01


@pytest.fixture(scope="module")
def both() -> Iterator[tuple[Daemon, Daemon]]:
    with running_sampan() as sampan, running_newest_docker() as docker:
        for engine in (sampan, docker):
            engine.load_busybox()
            assert (
                engine.docker("run", "-d", "--net", "none", "--name", "filtered", "busybox", "sleep", "10000").code == 0
            )
            free = ("--security-opt", "seccomp=unconfined")
            assert (
                engine.docker("run", "-d", "--net", "none", "--name", "free", *free, "busybox", "sleep", "10000").code
                == 0
            )
        yield sampan, docker


def processor_seconds(engine: Daemon, container: str) -> float:
    outcome = engine.docker("exec", container, "sh", "-c", f"{LOOP} 2>&1", timeout=120)
    times = dict(re.findall(r"^(user|sys) +([\d.]+)$", outcome.text, re.MULTILINE))
    return float(times["user"]) + float(times["sys"])


def test_the_filter_costs_as_much_as_dockers(both: tuple[Daemon, Daemon], capsys: pytest.CaptureFixture[str]) -> None:
    found: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        for engine in both:
            for container in ("filtered", "free"):
                found.setdefault(f"{engine.kind} {container}", []).append(processor_seconds(engine, container))
    least = {name: min(times) for name, times in found.items()}
    with capsys.disabled():
        print("\n" + ", ".join(f"{name} {seconds:.3f} s" for name, seconds in least.items()))
    assert least["sampan filtered"] <= least["dockerd filtered"] * MOST, least
