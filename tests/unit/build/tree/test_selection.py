"""What paths of COPY mean, and what of a directory is taken."""

import pytest

from sampan.build.tree.selection import BadSelection, Below, chosen, parse_path
from sampan.dockerfile.globs import BadGlob, Glob, has_wildcards, split_wildcards


@pytest.mark.parametrize(
    ("path", "base", "searched"),
    [
        ("a", "a", False),
        ("/a/./b//c/", "a/b/c", False),
        ("../../a", "a", False),
        (".", "", False),
        ("/", "", False),
        ("a/b*/c", "a", True),
        ("*.txt", "", True),
        (r"a/\*", r"a/\*", False),
        ("a/[[]b", "a", True),
    ],
)
def test_paths(path: str, base: str, searched: bool) -> None:
    wanted = parse_path(path)
    assert (wanted.base, wanted.glob is not None, wanted.required) == (base, searched, not searched)


@pytest.mark.parametrize(
    ("path", "base", "searched", "required"),
    [
        ("a/b", "", False, True),
        ("a/./b", "a", False, True),
        ("a/./b/./c", "a", False, True),
        ("./a/b", "", False, True),
        ("a/./*.txt", "a", False, False),
        ("*/./b", "", True, False),
        ("**/a", "", False, False),
    ],
)
def test_paths_with_parents(path: str, base: str, searched: bool, required: bool) -> None:
    wanted = parse_path(path, (), parents=True)
    assert (wanted.base, wanted.glob is not None, wanted.required) == (base, searched, required)


@pytest.mark.parametrize(("path", "excludes"), [("[", ()), ("[b-a]", ()), ("*\\", ()), ("a", ("[",)), ("a", ("!",))])
def test_patterns_that_are_none(path: str, excludes: tuple[str, ...]) -> None:
    with pytest.raises(BadSelection):
        parse_path(path, excludes)


PATHS = ["a", "a/x.txt", "a/b", "a/b/y.log", "a/b/z.txt", "c", "c/d", "e.txt"]
DIRECTORIES = {"a", "a/b", "c", "c/d"}


def taken(paths: list[str], path: str, excludes: tuple[str, ...] = (), parents: bool = False) -> list[str]:
    rule = parse_path(path, excludes, parents).filter
    entered = [one for one in paths if all(rule.enters(above) for above in _above(one))]
    return [one.path for one in chosen((Below(path, path in DIRECTORIES, None) for path in entered), rule)]


def _above(path: str) -> list[str]:
    parts = path.split("/")[:-1]
    return ["/".join(parts[: count + 1]) for count in range(len(parts))]


@pytest.mark.parametrize(
    ("path", "excludes", "parents", "left"),
    [
        (".", (), False, PATHS),
        (".", ("*.txt",), False, [path for path in PATHS if path != "e.txt"]),
        (".", ("**/*.txt",), False, ["a", "a/b", "a/b/y.log", "c", "c/d"]),
        (".", ("a",), False, ["c", "c/d", "e.txt"]),
        (".", ("a", "!a/b/z.txt"), False, ["a", "a/b", "a/b/z.txt", "c", "c/d", "e.txt"]),
        ("**/*.txt", (), True, ["a", "a/x.txt", "a/b", "a/b/z.txt", "e.txt"]),
        ("a/b", (), True, ["a", "a/b", "a/b/y.log", "a/b/z.txt"]),
        ("a/b", ("**/*.log",), True, ["a", "a/b", "a/b/z.txt"]),
        ("a/*.txt", (), True, ["a", "a/x.txt"]),
        ("f", (), True, []),
    ],
)
def test_what_is_taken(path: str, excludes: tuple[str, ...], parents: bool, left: list[str]) -> None:
    assert sorted(taken(PATHS, path, excludes, parents)) == sorted(left)
    # Walks give whole directories before they go down; what is on the way comes first all the same.
    levels = sorted(PATHS, key=lambda one: (one.count("/"), one))
    found = taken(levels, path, excludes, parents)
    assert sorted(found) == sorted(left)
    assert all(above in found[: found.index(one)] for one in found for above in _above(one))


def test_nothing_is_read_where_nothing_can_be() -> None:
    rule = parse_path("a/b/*.txt", (), parents=True).filter
    assert [path for path in ("a", "a/b", "a/b/c", "b", "ab", "a/bc") if rule.enters(path)] == ["a", "a/b", "a/b/c"]
    assert not parse_path(".", ("a",)).filter.enters("a")
    assert parse_path(".", ("a", "!a/b")).filter.enters("a")


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("*.txt", "a.txt", True),
        ("*.txt", "d/a.txt", False),
        ("*/*.txt", "d/a.txt", True),
        ("**", "d", True),
        ("**", "d/a", False),
        ("a?c", "abc", True),
        ("a?c", "a/c", False),
        ("[a-c]x", "bx", True),
        ("[^a-c]x", "bx", False),
        ("[[]x", "[x", True),
        (r"\*x*", "*xy", True),
        (r"\*x*", "axy", False),
        ("*", "\udcff", True),
        ("*" * 50 + "b", "a" * 5000, False),
    ],
)
def test_globs(pattern: str, path: str, fits: bool) -> None:
    assert Glob(pattern).matches(path) is fits


def test_bad_globs() -> None:
    for pattern in ("[", "[]", "[a", "[a-", "[-a]", "a\\", "[b-a]"):
        with pytest.raises(BadGlob, match="syntax error in pattern"):
            Glob(pattern)


def test_where_wildcards_begin() -> None:
    assert split_wildcards("a/b/c*/d") == ("a/b", "c*/d")
    assert split_wildcards("a/b") == ("a/b", "")
    assert split_wildcards("*") == ("", "*")
    assert not has_wildcards(r"a\*b\[c")
    assert has_wildcards(r"a\\*")
