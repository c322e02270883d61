"""GELF 1.1: JSON in packets of udp, compressed and cut into chunks, or over tcp, each ended by a NUL."""

import gzip
import os
import struct
import zlib
from collections.abc import Mapping

import msgspec

from sampan.logs.shipped_options import gelf_address
from sampan.logs.shipping.jobs import Facts
from sampan.logs.shipping.source import Record
from sampan.logs.shipping.transports import Datagrams, Stream, Undelivered

_INFO, _ERROR = 6, 3
_PACKET = 1420
_HEAD = struct.Struct(">2s8sBB")
_MAGIC = b"\x1e\x0f"
_MOST_CHUNKS = 128
_BEST_SPEED = 1


class Gelf:
    """Implements `senders.Sender`."""

    def __init__(self, options: Mapping[str, str], facts: Facts) -> None:
        kind, host, port = gelf_address(options.get("gelf-address", ""))
        self._to = Datagrams(kind, host, port) if kind == "udp" else Stream(kind, host, port)
        self._compression = options.get("gelf-compression-type", "gzip")
        self._level = int(options.get("gelf-compression-level", _BEST_SPEED))
        self._same = {
            "version": "1.1",
            "host": facts.hostname,
            "_container_id": facts.id,
            "_container_name": facts.name.removeprefix("/"),
            "_image_id": facts.image_id,
            "_image_name": facts.image_name,
            "_command": facts.command,
            "_tag": facts.tag,
            "_created": facts.created,
            **{name if name.startswith("_") else f"_{name}": value for name, value in facts.extra.items()},
        }

    async def send(self, records: list[Record]) -> None:
        """See the Protocol."""
        if isinstance(self._to, Stream):
            try:
                await self._to.send(b"".join([self._message(record) + b"\0" for record in records]))
            except OSError as error:
                raise Undelivered(error, 0) from error
            return
        for number, record in enumerate(records):
            try:
                for packet in _packets(self._compressed(self._message(record))):
                    await self._to.send(packet)
            except OSError as error:
                raise Undelivered(error, number) from error

    async def close(self) -> None:
        """See the Protocol."""
        await self._to.close()

    def _message(self, record: Record) -> bytes:
        said = {
            "short_message": record.text.decode("utf-8", "replace"),
            "timestamp": record.time_ns // 1_000_000 / 1000,
            "level": _ERROR if record.stream == 2 else _INFO,
        }
        return msgspec.json.encode({**self._same, **said})

    def _compressed(self, message: bytes) -> bytes:
        if self._compression == "none":
            return message
        if self._compression == "zlib":
            return zlib.compress(message, self._level)
        return gzip.compress(message, self._level if self._level >= 0 else 6)


def _packets(message: bytes) -> list[bytes]:
    """One packet, or chunks that say which of how many they are; none where they would be too many to be put together."""
    if len(message) <= _PACKET:
        return [message]
    room = _PACKET - _HEAD.size
    pieces = [message[at : at + room] for at in range(0, len(message), room)]
    name = os.urandom(8)
    if len(pieces) > _MOST_CHUNKS:
        return []
    return [_HEAD.pack(_MAGIC, name, number, len(pieces)) + piece for number, piece in enumerate(pieces)]
