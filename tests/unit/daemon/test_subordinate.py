"""subuid(5) as everybody reads it, and the pool by name or by numbers."""

from pathlib import Path

import pytest

from sampan.daemon import subordinate
from sampan.errors import InvalidParameter
from sampan.spec.user_maps import UserMaps

LINES = "# comment\nroot:1:1\ndaemon:2000:10\n\nbroken\na:b:c\n1:3000:5\nempty:1:0\n:5:5\ncontainers:900:99\n"


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("subuid", "subgid"):
        (tmp_path / name).write_text(LINES)
    monkeypatch.setattr(subordinate, "_FILES", {"uid": tmp_path / "subuid", "gid": tmp_path / "subgid"})
    return tmp_path


def test_lines() -> None:
    assert subordinate.parse(LINES) == [
        ("root", 1, 1),
        ("daemon", 2000, 10),
        ("1", 3000, 5),
        ("containers", 900, 99),
    ]


def test_a_user_s_ranges_follow_one_another(files: Path) -> None:
    """By name and by number, the lowest first: user 1 is daemon."""
    (files / "subgid").write_text("daemon:7000:1\n")
    expected = UserMaps(((0, 2000, 10), (10, 3000, 5)), ((0, 7000, 1),))
    for setting in ("daemon", "daemon:daemon", "1", "1:1"):
        assert subordinate.remapped(setting) == expected


@pytest.mark.usefixtures("files")
def test_root_is_not_remapped() -> None:
    assert subordinate.remapped("root") is None
    assert subordinate.remapped("") is None


@pytest.mark.usefixtures("files")
def test_the_pool() -> None:
    assert subordinate.pool("containers", "uid") == [(900, 99)]
    assert subordinate.pool("500:7", "gid") == [(500, 7)]
    with pytest.raises(InvalidParameter, match="add the line nobodysown:2147483647:2147483648"):
        subordinate.pool("nobodysown", "uid")


@pytest.mark.usefixtures("files")
def test_without_ranges() -> None:
    with pytest.raises(InvalidParameter, match='no subuid ranges found for user "bin"'):
        subordinate.remapped("bin")
