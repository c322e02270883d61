"""Runs every case on both engines and holds the differences against the table."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from tests.daemons import Docker, Sampan, running_docker, running_sampan
from tests.differential.asking import answer
from tests.differential.cases import CASES
from tests.differential.known import KNOWN, Known
from tests.differential.views import differences
from tests.requires import requires

pytestmark = requires("root", "overlay", "netns", "docker-client", "dockerd", "busybox")

_asked: set[str] = set()
_met: set[Known] = set()


@pytest.fixture(scope="module")
def both() -> Iterator[tuple[Sampan, Docker]]:
    with running_sampan() as sampan, running_docker() as docker:
        for engine in (sampan, docker):
            engine.load_busybox()
        yield sampan, docker


@pytest.mark.parametrize("name", CASES)
def test_case(both: tuple[Sampan, Docker], name: str) -> None:
    # Side by side: they share nothing, and most of a case is waiting.
    with ThreadPoolExecutor(len(both)) as threads:
        sampan, docker = threads.map(partial(answer, case=CASES[name]), both)
    unexplained = []
    for difference in differences(sampan, docker):
        covering = [known for known in KNOWN if known.covers(name, difference)]
        _met.update(covering)
        if not covering:
            unexplained.append(difference)
    _asked.add(name)
    assert not unexplained, "\n".join(["differences that known.py does not explain:", *unexplained])


@requires("docker-client:28")
def test_every_listed_difference_still_occurs() -> None:
    if _asked != set(CASES):
        pytest.skip("only some cases were run")
    assert [known for known in KNOWN if known not in _met] == [], "mended: take these out of known.py"
