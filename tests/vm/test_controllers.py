"""Controllers that Docker has no option for, by `--cgroup-conf`: a limit of huge pages bites, on v1 and v2."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemons import Sampan, running_sampan

V2 = Path("/sys/fs/cgroup/cgroup.controllers").exists()
PAGES = Path("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages")
FILE = "hugetlb.2MB.max" if V2 else "hugetlb.2MB.limit_in_bytes"
PROGRAM = """
import mmap
pages = mmap.mmap(-1, 4 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x40000)  # MAP_HUGETLB
for at in (0, 2 << 20):
    pages[at] = 1
print("had them")
"""


@pytest.fixture(scope="module")
def engine() -> Iterator[Sampan]:
    PAGES.write_text("8")
    with running_sampan() as started:
        yield started
    PAGES.write_text("0")


def test_huge_pages(engine: Sampan) -> None:
    run = ("run", "--rm", "--net", "none")
    outcome = engine.sampan(*run, "host", "python3", "-c", PROGRAM, timeout=240)
    assert outcome.text == "had them", outcome
    outcome = engine.sampan(*run, "--cgroup-conf", f"{FILE}={2 << 20}", "host", "python3", "-c", PROGRAM, timeout=240)
    # The second page is one too many: SIGBUS, as the kernel says it.
    assert (outcome.code, outcome.text) == (135, ""), outcome
