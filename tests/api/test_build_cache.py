"""The build cache under a real daemon: what it holds, shows and gives back, with the real docker command."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.api.built_before import FIRST, MOUNT, SECOND, SOURCE, leave
from tests.daemons import Sampan, running_sampan
from tests.requires import requires

pytestmark = requires("root", "overlay", "docker-client:28", "busybox")

Document = dict[str, object]


@contextmanager
def built_before() -> Iterator[Sampan]:
    """A daemon that was started after builds had been made by an earlier one."""
    with running_sampan() as engine:
        engine.stop()
        leave(engine.data_root)
        engine.start()
        yield engine


@pytest.fixture
def alone() -> Iterator[Sampan]:
    """For one test."""
    with built_before() as engine:
        yield engine


@pytest.fixture(scope="module")
def untouched() -> Iterator[Sampan]:
    """For those that delete nothing."""
    with built_before() as engine:
        yield engine


def shown(engine: Sampan) -> dict[str, Document]:
    usage = engine.api("GET", "/system/df?type=build-cache").json()
    assert isinstance(usage, dict)
    return {item["ID"]: item for item in usage["BuildCache"]}


def prune(engine: Sampan, **fields: str) -> tuple[set[str], int]:
    query = "&".join(f"{name.replace('_', '-')}={quote(value)}" for name, value in fields.items())
    answer = engine.api("POST", f"/build/prune?{query}")
    assert answer.status == 200, answer
    told = answer.json()
    assert isinstance(told, dict)
    return set(told["CachesDeleted"] or ()), told["SpaceReclaimed"]


def ident(key: str) -> str:
    return key.removeprefix("sha256:")[:25]


ONE, TWO, FILES, DIRECTORY = ident(FIRST), ident(SECOND), ident(SOURCE), f"{MOUNT.name}-0"


def layers(root: Path) -> int:
    return len(os.listdir(root / "layers/overlay")) - 1


def test_what_is_kept_outlives_the_daemon_and_is_shown(alone: Sampan) -> None:
    items = shown(alone)
    assert {name: item["Size"] for name, item in items.items()} == {
        ONE: 100_000,
        TWO: 100_000,
        FILES: 0,
        DIRECTORY: 1000,
    }
    assert items[TWO]["Parents"] == [ONE]
    assert [items[name]["Type"] for name in (ONE, FILES, DIRECTORY)] == ["regular", "source.local", "exec.cachemount"]
    assert (items[ONE]["Description"], items[ONE]["InUse"], items[ONE]["Shared"]) == ("RUN step 1", False, False)
    assert layers(alone.data_root) == 2
    ours, theirs = alone.sampan("system", "df"), alone.docker("system", "df")
    assert ours.text == theirs.text
    assert "Build Cache     4         0         201kB     201kB" in theirs.text
    verbose = alone.docker("system", "df", "-v").text
    assert "Build cache usage: 201kB" in verbose
    assert f"{ONE[:12]}   regular" in verbose


def test_dockers_prune_gives_the_room_back(alone: Sampan) -> None:
    done = alone.docker("builder", "prune", "-f")
    assert done.code == 0, done
    assert {ONE, TWO, FILES, DIRECTORY} <= set(done.text.split())
    assert "Total reclaimed space: 4" in done.text
    assert shown(alone) == {}
    assert layers(alone.data_root) == 0
    assert not os.listdir(alone.data_root / "content/blobs/sha256")
    assert not os.listdir(alone.data_root / "build/mounts")
    assert alone.docker("builder", "prune", "-af").code == 0


def test_system_prune_takes_it_along(alone: Sampan) -> None:
    done = alone.docker("system", "prune", "-f")
    assert "Deleted build cache objects:" in done.text
    assert "Total reclaimed space: 4" in done.text
    assert shown(alone) == {}


@pytest.mark.parametrize(
    "fields",
    [
        {"filters": '{"until":["1h"]}'},
        {"filters": '{"unused-for":{"1h":true}}'},
        {"filters": '{"inuse":[""]}'},
        {"max_used_space": "10", "reserved_space": "1000000"},
    ],
)
def test_what_is_not_meant_stays(untouched: Sampan, fields: dict[str, str]) -> None:
    assert prune(untouched, **fields) == (set(), 0)
    assert set(shown(untouched)) == {ONE, TWO, FILES, DIRECTORY}


@pytest.mark.parametrize(
    ("fields", "deleted"),
    [
        ({"filters": '{"type":["exec.cachemount"]}'}, {DIRECTORY}),
        ({"filters": f'{{"id":["^{ONE}"]}}'}, {ONE}),
        ({"filters": f'{{"parent":["{ONE}"]}}'}, {TWO}),
        ({"keep_storage": "150000"}, {FILES, ONE}),
        ({"reserved_space": "150000", "all": "1"}, {FILES, ONE}),
    ],
)
def test_filters_and_limits(alone: Sampan, fields: dict[str, str], deleted: set[str]) -> None:
    found, _ = prune(alone, **fields)
    assert found == deleted
    assert set(shown(alone)) == {ONE, TWO, FILES, DIRECTORY} - deleted


def test_a_record_below_another_gives_its_room_with_the_last(alone: Sampan) -> None:
    assert prune(alone, filters=f'{{"id":["{ONE}"]}}') == ({ONE}, 0)
    assert layers(alone.data_root) == 2
    deleted, freed = prune(alone, filters='{"type":["regular"]}')
    assert deleted == {TWO}
    assert freed > 400_000, "two layers and their blobs"
    assert layers(alone.data_root) == 0


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ('filters={"colour":["red"]}', "invalid filter 'colour'"),
        ('filters={"until":["1h","2h"]}', "filters expect only one value"),
        ('filters={"until":["1h"],"unused-for":["1h"]}', 'conflicting filters: "until" and "unused-for"'),
        ('filters={"until":["soon"]}', '"until" filter expects a duration'),
        ('filters={"id":["("]}', "invalid filter 'id=('"),
        ("keep-storage=much", "keep-storage is in bytes and expects an integer"),
        ("reserved-space=99999999999999999999", "value out of range"),
    ],
)
def test_wrong_questions(engine: Sampan, query: str, told: str) -> None:
    key, _, value = query.partition("=")
    answer = engine.api("POST", f"/build/prune?{key}={quote(value)}")
    assert answer.status == 400
    assert told in str(answer.json())


def test_the_check_looks_at_what_builds_made(alone: Sampan) -> None:
    assert alone.sampan("system", "check").code == 0
    blob = next((alone.data_root / "content/blobs/sha256").iterdir())
    blob.write_bytes(b"?" * blob.stat().st_size)
    layer = next(path for path in (alone.data_root / "layers/overlay").iterdir() if path.name != "l")
    (damaged,) = (layer / "diff").iterdir()
    damaged.write_bytes(b"?" * 100_000)
    done = alone.sampan("system", "check", "--repair")
    assert done.code != 0
    assert "the build cache" in done.text
    assert "the next build makes it again" in done.text


def test_an_idle_daemon_with_a_cache_opens_it_when_asked(alone: Sampan) -> None:
    usage = json.loads(alone.docker("system", "df", "--format", "{{json .}}").text.splitlines()[3])
    assert (usage["Type"], usage["TotalCount"]) == ("Build Cache", "4")
