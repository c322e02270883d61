"""Go's file modes."""

import stat

import pytest

from sampan.spec.files import go_mode


@pytest.mark.parametrize(
    ("mode", "number"),
    [
        (stat.S_IFREG | 0o644, 420),
        (stat.S_IFDIR | 0o755, 2147484141),
        (stat.S_IFDIR | 0o1777, 2148532735),
        (stat.S_IFLNK | 0o777, 134218239),
        (stat.S_IFREG | 0o4755, 8389101),
        (stat.S_IFREG | 0o2755, 4194797),
        (stat.S_IFCHR | 0o666, 69206454),
        (stat.S_IFBLK | 0o660, 67109296),
        (stat.S_IFIFO | 0o600, 33554816),
        (stat.S_IFSOCK | 0o600, 16777600),
    ],
)
def test_go_mode(mode: int, number: int) -> None:
    assert go_mode(mode) == number
