"""What `cp`'s arguments mean."""

from pathlib import Path

import pytest

from sampan.cli.copy.paths import (
    CopyInfo,
    arrange,
    base,
    local_source,
    local_target,
    rebased,
    split_argument,
    split_entry,
    with_ending,
)
from sampan.cli.failures import Exit


@pytest.mark.parametrize(
    ("text", "container", "path"),
    [
        ("c:/a", "c", "/a"),
        ("c:a:b", "c", "a:b"),
        ("c:", "c", ""),
        ("/a:b", "", "/a:b"),
        ("./a:b", "", "./a:b"),
        ("../a:b", "", "../a:b"),
        ("plain", "", "plain"),
        ("-", "", "-"),
    ],
)
def test_arguments(text: str, container: str, path: str) -> None:
    assert split_argument(text) == (container, path)


@pytest.mark.parametrize(
    ("path", "expected"), [("/a/b", "b"), ("/a/b/", "b"), ("/a/.", "."), ("/", "/"), ("//", "/"), ("", "."), ("a", "a")]
)
def test_base(path: str, expected: str) -> None:
    assert base(path) == expected


@pytest.mark.parametrize(
    ("cleaned", "original", "expected"),
    [("/a", "a/", "/a/"), ("/a", "a/.", "/a/."), ("/a", "a", "/a"), ("/", "/.", "/."), ("/", "/", "/")],
)
def test_endings_are_kept(cleaned: str, original: str, expected: str) -> None:
    assert with_ending(cleaned, original) == expected


@pytest.mark.parametrize(
    ("path", "entry"),
    [
        ("/a/b", ("/a", "b")),
        ("/a/b/", ("/a", "b")),
        ("/a/.", ("/a", ".")),
        ("/a", ("/", "a")),
        ("/", ("/", "/")),
        ("a", (".", "a")),
    ],
)
def test_entries(path: str, entry: tuple[str, str]) -> None:
    assert split_entry(path) == entry


def test_a_followed_link_keeps_its_own_name() -> None:
    assert rebased("/l", "/target") == ("/target", "l")
    assert rebased("/l/.", "/target") == ("/target/.", "")
    assert rebased("/l/", "/target") == ("/target/", "l")
    assert rebased("/d/same", "/e/same") == ("/e/same", "")


def info(path: str, kind: str) -> CopyInfo:
    return CopyInfo(path, kind != "missing", kind == "directory")


@pytest.mark.parametrize(
    ("source", "target", "result"),
    [
        (info("/s", "directory"), info("/t", "directory"), ("/t", "")),
        (info("/s", "directory"), info("/t", "missing"), ("/", "t")),
        (info("/s", "file"), info("/t", "directory"), ("/t", "")),
        (info("/s", "file"), info("/t/", "directory"), ("/t/", "")),
        (info("/s", "file"), info("/d/t", "file"), ("/d", "t")),
        (info("/s", "file"), info("/d/t", "missing"), ("/d", "t")),
        (info("/s", "directory"), info("/t", "file"), "cannot copy directory"),
        (info("/s", "file"), info("/t/", "missing"), "no such directory"),
    ],
)
def test_arrangements(source: CopyInfo, target: CopyInfo, result: tuple[str, str] | str) -> None:
    if isinstance(result, str):
        with pytest.raises(Exit, match=result):
            arrange(source, target)
    else:
        assert arrange(source, target) == result


def test_local_ends(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "f").write_text("f")
    (tmp_path / "link").symlink_to("d")
    (tmp_path / "dangling").symlink_to("to-be")
    assert local_source(f"{tmp_path}/link", follow=False).is_directory is False
    followed = local_source(f"{tmp_path}/link", follow=True)
    assert (followed.path, followed.is_directory, followed.rebase) == (f"{tmp_path}/d", True, "link")
    assert local_target(f"{tmp_path}/link").is_directory is True
    missing = local_target(f"{tmp_path}/dangling")
    assert (missing.path, missing.exists) == (f"{tmp_path}/to-be", False)
    with pytest.raises(Exit, match="no such file or directory"):
        local_source(f"{tmp_path}/nosuch", follow=False)
    with pytest.raises(Exit, match="invalid output path"):
        local_target(f"{tmp_path}/no/such")
    with pytest.raises(Exit, match="must be a directory or a regular file"):
        local_target("/dev/null")
