"""`--bridge-accept-fwmark`: numbers as Go reads them."""

import pytest

from sampan.errors import InvalidParameter
from sampan.network.firewall_mark import ALL, FirewallMark, parse_mark


@pytest.mark.parametrize(
    ("text", "mark"),
    [
        ("2", FirewallMark(2, ALL)), ("0x2/0x3", FirewallMark(2, 3)), ("010/0b11", FirewallMark(8, 3)), ("0", FirewallMark(0, ALL)),
        ("4294967295/0", FirewallMark(ALL, 0)), ("0xffff_0000", FirewallMark(0xFFFF0000, ALL)),
    ],
)  # fmt: skip
def test_marks(text: str, mark: FirewallMark) -> None:
    assert parse_mark(text) == mark


def test_none_is_none() -> None:
    assert parse_mark("") is None


@pytest.mark.parametrize("text", ["x", "-1", "+1", " 1", "1 ", "1/", "/1", "1/2/3", "0x", "٣", "09"])
def test_what_is_no_mark(text: str) -> None:
    with pytest.raises(InvalidParameter, match=r"invalid bridge-accept-fwmark: .*invalid syntax"):
        parse_mark(text)


@pytest.mark.parametrize("text", ["4294967296", "1/0x100000000"])
def test_what_is_too_large(text: str) -> None:
    with pytest.raises(InvalidParameter, match="value out of range"):
        parse_mark(text)
