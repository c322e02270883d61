"""Entries as Docker's daemon writes them, and nothing else."""

from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.message_factory import GetMessages
from hypothesis import given
from hypothesis import strategies as st

from sampan.drivers.log_entries import Entry, decode_entry, encode_entry


def _dockers() -> Any:
    """The message's class as the protobuf library makes it of Docker's declaration."""
    file = FileDescriptorProto(name="entry.proto", package="test", syntax="proto3")
    part = file.message_type.add(name="Part")
    entry = file.message_type.add(name="LogEntry")
    kinds = FieldDescriptorProto
    for message, number, name, kind in (
        (part, 1, "last", kinds.TYPE_BOOL),
        (part, 2, "id", kinds.TYPE_STRING),
        (part, 3, "ordinal", kinds.TYPE_INT32),
        (entry, 1, "source", kinds.TYPE_STRING),
        (entry, 2, "time_nano", kinds.TYPE_INT64),
        (entry, 3, "line", kinds.TYPE_BYTES),
        (entry, 4, "partial", kinds.TYPE_BOOL),
        (entry, 5, "part", kinds.TYPE_MESSAGE),
    ):
        field = message.field.add(number=number, name=name, type=kind, label=kinds.LABEL_OPTIONAL)
        if kind == kinds.TYPE_MESSAGE:
            field.type_name = ".test.Part"
    return GetMessages([file])["test.LogEntry"]


@pytest.mark.parametrize(
    "entry",
    [
        Entry("stdout", 1_700_000_000_000_000_000, b"hello"),
        Entry("stderr", 1, b"\xff" * 300, partial=True, part="id", ordinal=300),
        Entry("stdout", 5, b"", part="id", ordinal=2, last=True),
    ],
)
def test_as_the_protobuf_library_has_it(entry: Entry) -> None:
    message = _dockers()(source=entry.source, time_nano=entry.time_ns, line=entry.line, partial=entry.partial)
    if entry.part:
        message.part.id, message.part.ordinal, message.part.last = entry.part, entry.ordinal, entry.last
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
