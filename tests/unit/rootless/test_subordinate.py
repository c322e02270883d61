"""Subordinate ids and what is made of them."""

import pytest

from sampan.host.mapped import highest_group, is_mapped, parse_map
from sampan.rootless import subordinate

FILE = """\
root:1000000:65536
me:100000:65536
1001:200000:1000
you:165536:65536
# a remark
me:300000
me:x:65536
me:400000:0
"""


def test_ranges_are_by_name_or_number_and_lines_that_are_none_are_passed_over() -> None:
    assert subordinate.ranges(FILE, "me", 1001) == [(100000, 65536), (200000, 1000)]
    assert subordinate.ranges(FILE, "you", 7) == [(165536, 65536)]
    assert subordinate.ranges(FILE, "nobody", 65534) == []


def test_a_map_has_no_hole() -> None:
    lines = subordinate.id_map(1001, [(100000, 65536), (200000, 1000)])
    assert lines == [(0, 1001, 1), (1, 100000, 65536), (65537, 200000, 1000)]
    assert subordinate.words(lines) == ["0", "1001", "1", "1", "100000", "65536", "65537", "200000", "1000"]


def test_where_a_range_could_begin() -> None:
    assert subordinate.next_free("") == 100_000
    assert subordinate.next_free(FILE) == 1_065_536


@pytest.mark.parametrize(
    ("text", "mapped", "last"),
    [
        ("         0          0 4294967295\n", False, 4294967294),
        ("0 1001 1\n1 100000 65536\n", True, 65536),
        ("0 1001 1\n5 100000 65536\n", True, 0),
        ("0 0 65536\n", True, 65535),
        ("", True, -1),
    ],
)
def test_what_a_map_says(text: str, mapped: bool, last: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("map") / "uid_map"
    file.write_text(text)
    assert is_mapped(str(file)) is mapped
    assert highest_group(str(file)) == last


def test_a_broken_map_is_not_believed() -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        parse_map("0 x 1")
