import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sampan.kernel import netlink


def test_attributes_are_padded_and_read_back() -> None:
    data = netlink.attribute(1, b"abc") + netlink.text(2, "eth0") + netlink.u32(3, 7) + netlink.be32(4, 7)
    assert len(data) == 8 + 12 + 8 + 8
    assert netlink.table(data) == {1: b"abc", 2: b"eth0\0", 3: struct.pack("=I", 7), 4: b"\0\0\0\7"}
    assert netlink.as_text(b"eth0\0") == "eth0"


def test_nesting() -> None:
    data = netlink.nested(5, netlink.u8(1, 1), netlink.nested(2, netlink.be64(3, 9)))
    inner = netlink.table(netlink.table(data)[5])
    assert inner[1] == b"\1"
    assert netlink.table(inner[2]) == {3: (9).to_bytes(8, "big")}


def test_equal_kinds_keep_their_order() -> None:
    data = netlink.attribute(1, b"a") + netlink.attribute(1, b"b")
    assert [value for _, value in netlink.attributes(data)] == [b"a", b"b"]


@pytest.mark.parametrize("data", [b"", b"\1", b"\3\0\1\0", b"\xff\0\1\0abc", b"\0\0\0\0"])
def test_cut_attributes_end_the_walk(data: bytes) -> None:
    assert list(netlink.attributes(data)) == []


@given(st.binary(max_size=200))
def test_anything_can_be_read(data: bytes) -> None:
    for _, value in netlink.attributes(data):
        assert len(value) <= len(data)


def test_a_value_of_more_than_64_kib_is_refused() -> None:
    with pytest.raises(struct.error):
        netlink.attribute(1, bytes(70000))
