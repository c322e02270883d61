"""Dockerfiles as they are found in the wild make the same tree and configuration here as with Docker's builders.

What differs is in `wild/known.py`, with its reason. Docker's daemons: Debian's 20.10 (classic and BuildKit), 28 from `newest`.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemons import PROJECT
from tests.long.wild import context
from tests.long.wild.known import KNOWN, unexplained
from tests.long.wild.trees import Image, differences
from tests.long.wild.witnesses import ABILITIES, NAMES, Case, Witness, case, docker_witnesses, sampan_witness
from tests.requires import requires

pytestmark = requires("root", "overlay", "netns", "busybox", "mmdebstrap", "dockerd")

_used: set[str] = set()


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """The context's directory, and beside it a secret."""
    with tempfile.TemporaryDirectory(prefix="wild-", dir="/tmp") as directory:
        root = Path(directory) / "context"
        root.mkdir()
        context.make(root)
        (Path(directory) / "secret").write_text("hush\n")
        yield Path(directory)


@pytest.fixture(scope="module")
def dockers() -> Iterator[dict[str, Witness]]:
    with docker_witnesses() as witnesses:
        yield witnesses


@pytest.fixture(scope="module")
def sampan() -> Iterator[Witness]:
    with sampan_witness() as witness:
        yield witness


def built(witness: Witness, one: Case, place: Path) -> Image:
    made = witness.build(one, place / "context", place / "secret")
    assert isinstance(made, Image), f"{witness.name}:\n{made}"
    return made


@pytest.mark.parametrize("name", NAMES)
def test_as_docker_builds_it(name: str, sampan: Witness, dockers: dict[str, Witness], place: Path) -> None:
    one = case(name)
    own = built(sampan, one, place)
    found = {}
    for witness in dockers.values():
        if not one.needs or one.needs in ABILITIES[witness.name]:
            lines = differences(own, built(witness, one, place))
            found[witness.name] = unexplained(one.name, witness.name, lines, _used)
    assert {witness: lines for witness, lines in found.items() if lines} == {}


def test_every_known_difference_is_one() -> None:
    """Runs last: a reason that explains nothing any more goes."""
    assert [reason.text for reason in KNOWN if reason.text not in _used] == []


def test_the_table_has_them_all() -> None:
    document = (PROJECT / "docs" / "build.md").read_text()
    assert [reason.text for reason in KNOWN if reason.text not in document] == []


def test_there_are_forty() -> None:
    assert len(NAMES) >= 40
