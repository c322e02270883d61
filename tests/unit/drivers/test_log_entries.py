"""Entries as Docker's daemon writes them, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sampan.drivers.log_entries import Entry, decode_entry, encode_entry
from tests.log_entries import LogEntry


@pytest.mark.parametrize(
    "entry",
    [
        Entry("stdout", 1_700_000_000_000_000_000, b"hello"),
        Entry("stderr", 1, b"\xff" * 300, partial=True, part="id", ordinal=300),
        Entry("stdout", 5, b"", part="id", ordinal=2, last=True),
    ],
)
def test_as_the_protobuf_library_has_it(entry: Entry) -> None:
    message = LogEntry(source=entry.source, time_nano=entry.time_ns, line=entry.line, partial=entry.partial)
    if entry.part:
        part = message.partial_log_metadata
        part.id, part.ordinal, part.last = entry.part, entry.ordinal, entry.last
    encoded = message.SerializeToString()
    assert encode_entry(entry) == len(encoded).to_bytes(4, "big") + encoded
    assert decode_entry(encoded) == entry


@given(
    st.sampled_from(["stdout", "stderr"]),
    st.integers(0, 2**63 - 1),
    st.binary(),
    st.booleans(),
    st.integers(1, 2**31 - 1),
)
def test_round_trip(source: str, time_ns: int, line: bytes, partial: bool, ordinal: int) -> None:
    entry = Entry(source, time_ns, line, partial, "id" if partial else "", ordinal if partial else 0, last=False)
    assert decode_entry(encode_entry(entry)[4:]) == entry


@pytest.mark.parametrize(
    "body", [b"\x0a", b"\x0a\x06std", b"\xff" * 11, b"\x0b", b"\x08\x01", b"\x12\x01x", b"\x0f\x00"]
)
def test_what_is_none_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"no (LogEntry|protocol buffer)"):
        decode_entry(body)


@given(st.binary(max_size=64))
def test_anything(body: bytes) -> None:
    try:
        decode_entry(body)
    except ValueError as error:
        assert str(error).startswith(("no LogEntry", "no protocol buffer"))  # noqa: PT017 - the only error there is
