import pytest

from sampan.files.paths import BadPath, check_component, clean, shown, split


@pytest.mark.parametrize(
    ("path", "cleaned"),
    [
        (b"a", b"a"),
        (b"./a/", b"a"),
        (b"/a//b/./c", b"a/b/c"),
        (b"", b""),
        (b".", b""),
        (b"/", b""),
        (b"a/../b", b"b"),
        (b"a/..", b""),
        (b"\xff/\n", b"\xff/\n"),
        (b"..a/.b..", b"..a/.b.."),
    ],
)
def test_clean(path: bytes, cleaned: bytes) -> None:
    assert clean(path) == cleaned


@pytest.mark.parametrize("path", [b"..", b"../a", b"/..", b"a/../../b", b"a\0b", b"x/" * 2100 + b"x"])
def test_what_leaves_the_root_or_fits_nowhere_is_refused(path: bytes) -> None:
    with pytest.raises(BadPath):
        clean(path)


@pytest.mark.parametrize("name", [b"", b".", b"..", b"a/b", b"a\0"])
def test_components(name: bytes) -> None:
    with pytest.raises(BadPath):
        check_component(name)


def test_split() -> None:
    assert split(b"a/b/c") == (b"a/b", b"c")
    assert split(b"a") == (b"", b"a")


def test_shown_is_short_and_printable() -> None:
    assert shown(b"plain") == '"plain"'
    assert "\n" not in shown(b"a\nb")
    assert len(shown(b"x" * 5000)) < 220
