import time

import pytest

from sampan.dockerfile.ignore import BadIgnore, Ignore, read_patterns


@pytest.mark.parametrize(
    ("patterns", "ignored", "kept"),
    [
        ("a", ["a", "a/b", "a/b/c"], ["b", "b/a", "ab"]),
        ("/a/", ["a", "a/b"], ["b/a"]),
        ("./a", ["a"], ["b/a"]),
        ("a/../b", ["b"], ["a"]),
        ("*.log", ["x.log", ".log", "x.log/y"], ["d/x.log", "x.logs"]),
        ("**/*.log", ["x.log", "d/x.log", "d/e/x.log"], ["x.logs"]),
        ("**/log", ["log", "d/log", "d/log/x"], ["dlog", "log2"]),
        ("**log", ["log", "dlog", "d/log", "d/dlog"], ["logs"]),
        ("log/**", ["log/x", "log/x/y"], ["logs", "d/log/x"]),
        ("log**", ["log", "logs", "log/x"], ["d/log"]),
        ("a/**/b", ["a/b", "a/x/b", "a/x/y/b", "a/b/c"], ["b", "a/bc", "ab"]),
        ("a/*/b", ["a/x/b"], ["a/b", "a/x/y/b"]),
        ("a?c", ["abc"], ["ac", "a/c"]),
        ("a[b-d]e", ["abe", "ade"], ["aee", "ae"]),
        ("a[^b]c", ["axc"], ["abc"]),
        ("a\\*c", ["a*c"], ["abc"]),
        ("a.c", ["a.c"], ["abc"]),
        ("a+(b)|{c}^$", ["a+(b)|{c}^$"], ["a"]),
        ("**", ["a", "a/b"], []),
        ("*", ["a", "a/b"], []),
        ("*\n!a", ["b", "b/c"], ["a", "a/b"]),
        ("*.md\n!README*.md\nREADME-secret.md", ["x.md", "README-secret.md"], ["README.md", "README-x.md"]),
        ("a\n!a/b\na/b/c", ["a/x", "a/b/c"], ["a/b", "a/b/d"]),
        ("!a\na", ["a"], []),
        ("# a\n\n  b  \n #c", ["b", "#c"], ["a"]),
        ("\ufeffa", ["a"], ["\ufeffa"]),
        ("ü*", ["über"], ["uber"]),
    ],
)
def test_patterns(patterns: str, ignored: list[str], kept: list[str]) -> None:
    ignore = Ignore(read_patterns(patterns))
    assert [path for path in ignored if not ignore.ignores(path)] == []
    assert [path for path in kept if ignore.ignores(path)] == []
    # Going down directory by directory says the same.
    for path in (*ignored, *kept):
        verdict = None
        parts = path.split("/")
        for count in range(1, len(parts) + 1):
            verdict = ignore.enter("/".join(parts[:count]), verdict)
        assert verdict is not None
        assert verdict[0] == ignore.ignores(path)


@pytest.mark.parametrize("pattern", ["!", "a[", "a[]", "a[b", "a[-b]", "[c-a]", "a\\", "[b-", "x" * 5000])
def test_malformed(pattern: str) -> None:
    with pytest.raises(BadIgnore):
        Ignore(read_patterns(pattern))


def test_too_many() -> None:
    with pytest.raises(BadIgnore, match="more than 10000 patterns"):
        read_patterns("a\n" * 10_001)


def test_exceptions_and_everything_are_known() -> None:
    assert not Ignore([])
    assert Ignore(["a", "!b"]).has_exceptions
    assert not Ignore(["a"]).has_exceptions
    assert Ignore(["**"]).excludes_root()
    assert not Ignore(["a"]).excludes_root()


def test_no_pattern_is_a_catastrophe() -> None:
    ignore = Ignore(["**/" * 50 + "*a" * 50 + "b", "*a*a*a*a*a*a*a*a*a*a*a*a*a*ab"])
    began = time.monotonic()
    assert not ignore.ignores("a" * 255 + "/a" * 500)
    assert time.monotonic() - began < 10
