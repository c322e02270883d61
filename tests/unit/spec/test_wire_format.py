"""Fields as the protobuf library has them."""

from typing import Any

import pytest
from google.protobuf.internal.encoder import BytesEncoder, Int64Encoder
from hypothesis import given
from hypothesis import strategies as st

from sampan.spec import wire_format


def _encoded(encoder: Any, value: int | bytes) -> bytes:
    written: list[bytes] = []
    encoder(written.append, value, True)
    return b"".join(written)


@given(st.integers(1, 2**29 - 1), st.integers(-(2**63), 2**63 - 1), st.binary(max_size=300))
def test_as_the_library_has_them(field: int, value: int, content: bytes) -> None:
    assert wire_format.number(field, value) == _encoded(Int64Encoder(field, False, False), value)
    assert wire_format.data(field, content) == _encoded(BytesEncoder(field, False, False), content)
    both = wire_format.number(field, value) + wire_format.data(field, content)
    assert list(wire_format.fields(both)) == [(field, value & (2**64 - 1)), (field, content)]


@pytest.mark.parametrize("message", [b"\x08", b"\x80" * 11, b"\x0a\x05four", b"\x0b", b"\x0d\0\0\0"])
def test_what_is_none_is_refused(message: bytes) -> None:
    with pytest.raises(ValueError, match="no protocol buffer"):
        list(wire_format.fields(message))
