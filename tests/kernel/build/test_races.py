"""Somebody changes the trees while they are worked in, always at the worst moment: between a look and the use of what was seen.

Each test lets the same attacker work against a copy by paths first: that the attacker gets what he wants there proves that he
comes in time (corpus: CVE-2024-23651, CVE-2024-23652, CVE-2018-15664).
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sampan.build.operations import MakeDirectory
from sampan.build.tree import copying, directory, writing
from sampan.build.tree.directory import make_directory
from sampan.errors import SampanError
from sampan.files import walk
from tests.kernel.build.trees import Content, copy, grow, opened, shown
from tests.unit.build.tree.archives import packed

pytestmark = pytest.mark.requires("root", "openat2")

SECRET = b"of the host"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    return grow(tmp_path / "outside", {"f": SECRET, "sub/f": SECRET})


class Swap:
    """Puts a link to the outside in a place, and what was there back: at every turn the other."""

    def __init__(self, place: Path, link: Path) -> None:
        self._place = place
        self._link = link
        self._kept = place.with_name(place.name + ".kept")
        self.turns = 0

    def turn(self) -> None:
        self.turns += 1
        if self._place.is_symlink():
            self._place.unlink()
            if os.path.lexists(self._kept):
                self._kept.rename(self._place)
        elif os.path.lexists(self._place):
            self._place.rename(self._kept)
            self._place.symlink_to(self._link)

    def rest(self) -> None:
        if self._place.is_symlink():
            self.turn()


class Pauses:
    """Between all system calls with a name in them: somebody acts before the n-th, and before every one after it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._act: Callable[[], None] | None = None
        self._left = 0
        for module in (copying, writing, directory, walk):
            monkeypatch.setattr(module, "openat2", self._wrapped(module.openat2))
        for name in (
            "stat",
            "open",
            "mkdir",
            "unlink",
            "readlink",
            "mknod",
            "symlink",
            "listdir",
            "link",
            "chown",
            "utime",
        ):
            monkeypatch.setattr(os, name, self._wrapped(getattr(os, name)))

    def _wrapped(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **keywords: Any) -> Any:
            self._pause()
            return function(*arguments, **keywords)

        return call

    def _pause(self) -> None:
        act, self._act = self._act, None
        if act is None:
            return
        self._left -= 1
        if self._left <= 0:
            act()
        self._act = act

    @contextmanager
    def used_by(self, act: Callable[[], None], first: int) -> Iterator[None]:
        self._act, self._left = act, first
        try:
            yield
        finally:
            self._act = None


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> Pauses:
    return Pauses(monkeypatch)


ROUNDS = (*range(1, 40), *range(40, 400, 9))
FILES: dict[str, Content] = {"dir/f": b"new", "dir/sub/f": b"new", "dir/sub/g": b"new"}


def by_paths(source: Path, target: Path, pause: Callable[[], None]) -> None:
    """What is wrong with paths: what is looked at is not what is used."""
    for path in sorted(source.rglob("*")):
        inside = target / path.relative_to(source)
        if path.is_symlink() or inside.parent.is_symlink():
            continue
        if path.is_file():
            pause()
            shutil.copyfile(path, inside)


def attempts(pauses: Pauses, swap: Callable[[int], Swap], work: Callable[[int], None]) -> set[bool]:
    """Let the attacker begin later and later, until he comes too late. Whether each attempt ended well."""
    ended: set[bool] = set()
    for first in ROUNDS:
        attacker = swap(first)
        try:
            with pauses.used_by(attacker.turn, first):
                work(first)
            ended.add(True)
        except (SampanError, OSError):
            ended.add(False)
        attacker.rest()
        if not attacker.turns:
            return ended
    return ended


def test_the_target_is_swapped(tmp_path: Path, outside: Path, pauses: Pauses) -> None:
    source = grow(tmp_path / "source", FILES)
    control = grow(tmp_path / "control", {"dir/sub": None})
    by_paths(source, control, Swap(control / "dir", outside).turn)
    assert (outside / "f").read_bytes() == b"new"
    grow(outside, {"f": SECRET})
    before = shown(outside)

    def swap(first: int) -> Swap:
        return Swap(grow(tmp_path / f"target{first}", {"dir/sub": None}) / "dir", outside)

    ended = attempts(pauses, swap, lambda first: copy(source, tmp_path / f"target{first}", ".", to="/"))
    assert shown(outside) == before
    assert ended == {True, False}


def test_the_destination_is_swapped(tmp_path: Path, outside: Path, pauses: Pauses) -> None:
    source = grow(tmp_path / "source", FILES)
    before = shown(outside)

    def swap(first: int) -> Swap:
        return Swap(grow(tmp_path / f"target{first}", {"app/dir": None}) / "app", outside)

    def work(first: int) -> None:
        target = tmp_path / f"target{first}"
        copy(source, target, "dir/f", to="/app/new", chown="5:6", epoch=10**9)
        copy(source, target, "dir", to="/app/dir/", chown="5:6", epoch=10**9)

    ended = attempts(pauses, swap, work)
    assert shown(outside) == before
    assert {path.stat().st_uid for path in outside.rglob("*")} == {0}
    assert True in ended


def test_the_source_is_swapped(tmp_path: Path, outside: Path, pauses: Pauses) -> None:
    control = grow(tmp_path / "control", {})
    grow(tmp_path / "controlled", {"dir/f": b"new"})
    swapped = Swap(tmp_path / "controlled/dir", outside)
    (control / "dir").mkdir()
    by_paths(tmp_path / "controlled", control, swapped.turn)
    swapped.rest()
    assert (control / "dir/f").read_bytes() == SECRET

    for place in ("dir", "dir/sub", "dir/f"):

        def swap(first: int, place: str = place) -> Swap:
            target = outside / "f" if place == "dir/f" else outside
            return Swap(grow(tmp_path / f"source-{place.replace('/', '-')}{first}", FILES) / place, target)

        def work(first: int, place: str = place) -> None:
            source = tmp_path / f"source-{place.replace('/', '-')}{first}"
            for path in (".", "dir/f", "dir/*/g", "dir"):
                copy(source, tmp_path / f"target{first}", path, to="/app/")

        ended = attempts(pauses, swap, work)
        assert True in ended
    for target in tmp_path.glob("target*"):
        assert SECRET not in shown(target).values()


def test_the_working_directory_is_swapped(tmp_path: Path, outside: Path, pauses: Pauses) -> None:
    control = grow(tmp_path / "control", {"a": None})
    swapped = Swap(control / "a", outside)
    swapped.turn()
    os.makedirs(control / "a/b")
    assert (outside / "b").exists()
    (outside / "b").rmdir()
    before = shown(outside)

    def swap(first: int) -> Swap:
        return Swap(grow(tmp_path / f"target{first}", {"a": None, "etc/passwd": b"app:x:7:8::/:\n"}) / "a", outside)

    def work(first: int) -> None:
        with opened(tmp_path / f"target{first}") as target:
            make_directory(MakeDirectory(path="/a/b/c", user="app"), target, epoch=10**9)

    ended = attempts(pauses, swap, work)
    assert shown(outside) == before
    assert True in ended


def test_an_archive_is_unpacked_while_its_place_is_swapped(tmp_path: Path, outside: Path, pauses: Pauses) -> None:
    source = grow(tmp_path / "source", {"a.tar": packed({"dir/f": b"new", "dir/sub/f": b"new"}).getvalue()})
    before = shown(outside)

    def swap(first: int) -> Swap:
        return Swap(grow(tmp_path / f"target{first}", {"app/dir": None}) / "app/dir", outside)

    ended = attempts(
        pauses, swap, lambda first: copy(source, tmp_path / f"target{first}", "a.tar", to="/app", unpack=None)
    )
    assert shown(outside) == before
    assert True in ended
