"""What files a selection has, by name: so that a miss can say which changed."""

import io
import os
from pathlib import Path

import pytest

from sampan.build.tree.context import Context, unpack_context
from tests.api.building import context


def opened(directory: Path, files: dict[str, str]) -> Context:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return unpack_context(io.BytesIO(context(files)), descriptor)
    finally:
        os.close(descriptor)


FILES = {"src/a": "1", "src/sub/b": "2", "other/c": "3", "top": "4"}


@pytest.mark.parametrize(
    ("paths", "excludes", "names"),
    [
        (["src"], [], ["src/a", "src/sub/b"]),
        (["."], [], ["other/c", "src/a", "src/sub/b", "top"]),
        (["src", "top"], [], ["src/a", "src/sub/b", "top"]),
        (["s*"], [], ["src/a", "src/sub/b"]),
        (["src"], ["**/b"], ["src/a"]),
        (["missing"], [], []),
    ],
)
def test_names(tmp_path: Path, paths: list[str], excludes: list[str], names: list[str]) -> None:
    with opened(tmp_path, FILES) as made:
        assert sorted(made.listing(paths, excludes, False, 100)) == names


def test_only_what_changed_differs(tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / "2").mkdir()
    with opened(tmp_path / "1", FILES) as before, opened(tmp_path / "2", {**FILES, "src/a": "x"}) as after:
        old, new = (one.listing(["."], [], False, 100) for one in (before, after))
    assert [name for name in old if old[name] != new[name]] == ["src/a"]


def test_nothing_beyond_the_bound(tmp_path: Path) -> None:
    with opened(tmp_path, FILES) as made:
        assert made.listing(["."], [], False, 3) == {}
