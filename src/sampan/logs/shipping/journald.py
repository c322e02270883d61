"""journald: its native protocol, fields in a packet to its socket; in a sealed memory file where that is too large."""

import array
import errno
import os
import re
import socket
import struct
import time
from collections.abc import Mapping

from sampan.kernel.files import sealed_file
from sampan.logs.shipping.jobs import Facts
from sampan.logs.shipping.source import Record
from sampan.logs.shipping.transports import Datagrams, Undelivered

SOCKET = "/run/systemd/journal/socket"
_INFO, _ERROR = b"6", b"3"
_SECOND = 1_000_000_000
_FORBIDDEN = re.compile(r"[^A-Z0-9_]")
_LONGEST_NAME = 64


class Journald:
    """Implements `senders.Sender`."""

    def __init__(self, _options: Mapping[str, str], facts: Facts, path: str = SOCKET) -> None:
        self._to = Datagrams("unixgram", path, 0)
        self._path = path
        fields = {
            "CONTAINER_ID": facts.id[:12],
            "CONTAINER_ID_FULL": facts.id,
            "CONTAINER_NAME": facts.name.removeprefix("/"),
            "CONTAINER_TAG": facts.tag,
            "IMAGE_NAME": facts.image_name,
            "SYSLOG_IDENTIFIER": facts.tag,
            **{field_name(name): value for name, value in facts.extra.items() if field_name(name)},
        }
        self._same = b"".join([_field(name.encode(), value.encode()) for name, value in fields.items()])

    async def send(self, records: list[Record]) -> None:
        """See the Protocol."""
        for number, record in enumerate(records):
            entry = self._entry(record)
            try:
                await self._send(entry)
            except OSError as error:
                raise Undelivered(error, number) from error

    async def close(self) -> None:
        """See the Protocol."""
        await self._to.close()

    async def _send(self, entry: bytes) -> None:
        try:
            await self._to.send(entry)
        except OSError as error:
            if error.errno not in (errno.EMSGSIZE, errno.ENOBUFS):
                raise
            self._send_file(entry)

    def _send_file(self, entry: bytes) -> None:
        descriptor = sealed_file("sampan-journal", entry)
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
                sock.setblocking(False)
                sock.connect(self._path)
                sock.sendmsg([], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))])
        finally:
            os.close(descriptor)

    def _entry(self, record: Record) -> bytes:
        second, fraction = divmod(record.time_ns, _SECOND)
        moment = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(second))}.{fraction:09d}Z"
        fields = [
            _field(b"MESSAGE", record.text),
            _field(b"PRIORITY", _ERROR if record.stream == 2 else _INFO),
            self._same,
            _field(b"SYSLOG_TIMESTAMP", moment.encode()),
        ]
        if (partial := record.partial) is not None:
            if not partial.last:
                fields.append(_field(b"CONTAINER_PARTIAL_MESSAGE", b"true"))
            fields.append(_field(b"CONTAINER_PARTIAL_ID", partial.id.encode()))
            fields.append(_field(b"CONTAINER_PARTIAL_ORDINAL", b"%d" % partial.ordinal))
            fields.append(_field(b"CONTAINER_PARTIAL_LAST", b"true" if partial.last else b"false"))
        return b"".join(fields)


def field_name(text: str) -> str:
    """A label or variable as a field: capitals, digits and underscores, and none of those first; "" where nothing is left."""
    return _FORBIDDEN.sub("_", text.upper()).lstrip("_")[:_LONGEST_NAME]


def _field(name: bytes, value: bytes) -> bytes:
    if b"\n" in value:
        return name + b"\n" + struct.pack("<Q", len(value)) + value + b"\n"
    return name + b"=" + value + b"\n"
