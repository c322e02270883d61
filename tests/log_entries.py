"""Entries of Docker's log driver protocol, read by protobuf's own library from the published definition."""

import struct
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory


def _message() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="entry.proto", syntax="proto3")
    kinds = descriptor_pb2.FieldDescriptorProto
    optional = kinds.LABEL_OPTIONAL
    part = file.message_type.add(name="PartialLogEntryMetadata")
    for number, (name, kind) in enumerate(
        (("last", kinds.TYPE_BOOL), ("id", kinds.TYPE_STRING), ("ordinal", kinds.TYPE_INT32)), 1
    ):
        part.field.add(name=name, number=number, type=kind, label=optional)
    entry = file.message_type.add(name="LogEntry")
    fields = (
        ("source", kinds.TYPE_STRING),
        ("time_nano", kinds.TYPE_INT64),
        ("line", kinds.TYPE_BYTES),
        ("partial", kinds.TYPE_BOOL),
    )
    for number, (name, kind) in enumerate(fields, 1):
        entry.field.add(name=name, number=number, type=kind, label=optional)
    entry.field.add(
        name="partial_log_metadata",
        number=5,
        type=kinds.TYPE_MESSAGE,
        type_name=".PartialLogEntryMetadata",
        label=optional,
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("LogEntry"))


LogEntry = _message()


def read(data: bytes) -> tuple[list[Any], bytes]:
    """The entries in `data`, and what is left of it."""
    found = []
    while len(data) >= 4 and len(data) >= 4 + (size := struct.unpack(">I", data[:4])[0]):
        found.append(LogEntry.FromString(data[4 : 4 + size]))
        data = data[4 + size :]
    return found, data
