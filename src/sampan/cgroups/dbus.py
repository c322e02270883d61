"""As much of D-Bus as systemd's manager asks for: one connection, one call after the other (dbus-specification.html).

    connect ── "AUTH EXTERNAL uid", "BEGIN" ─▶ "OK" ── messages: call ─▶ reply or error, signals in between

systemd listens on a socket of its own, for root alone, where no bus and no greeting stand between (systemd's own commands use it).

No message may be on its way before "BEGIN" has been read. Where systemd finds both in one read, it begins, keeps the message in its
buffer, and looks there only when more bytes come (sd-bus, bus_socket_read_auth): a busy systemd never answers a short first call.
So "BEGIN" goes out with "AUTH", as systemd's own commands send it, and "OK" tells that it has been read.

Loaded by the launcher.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SYSTEMD = "/run/systemd/private"
_PATH = "/org/freedesktop/systemd1"
_MANAGER = "org.freedesktop.systemd1.Manager"
_CALL, _REPLY, _ERROR, _SIGNAL = 1, 2, 3, 4
_FIELD_PATH, _FIELD_INTERFACE, _FIELD_MEMBER, _FIELD_ERROR, _FIELD_REPLY_TO, _FIELD_SIGNATURE = 1, 2, 3, 4, 5, 8
_HEAD = struct.Struct("<4BIII")
_MOST = 1 << 20
_DEEPEST = 64
"""Types within types, as D-Bus allows them: 32 arrays and 32 structs."""
_MOST_SIGNALS = 10_000
_NUMBERS = {
    "y": ("<B", 1),
    "b": ("<I", 4),
    "n": ("<h", 2),
    "q": ("<H", 2),
    "i": ("<i", 4),
    "u": ("<I", 4),
    "h": ("<I", 4),
    "x": ("<q", 8),
    "t": ("<Q", 8),
    "d": ("<d", 8),
}


class Refused(OSError):
    """systemd answered with an error; `name` is D-Bus's, such as org.freedesktop.systemd1.UnitExists."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(errno.EPROTO, f"systemd: {text} ({name})")
        self.name = name


class Manager:
    """A connection to systemd's manager. Every wait is bounded by `seconds`, and ends in TimeoutError."""

    def __init__(self, seconds: float, path: str = SYSTEMD) -> None:
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._sock.settimeout(seconds)
        self._serial = 0
        self._signals: list[tuple[dict[int, Any], bytes]] = []
        try:
            self._sock.connect(path)
            user = str(os.geteuid()).encode().hex().encode()
            self._sock.sendall(b"\0AUTH EXTERNAL " + user + b"\r\nBEGIN\r\n")
            if not self._line().startswith(b"OK "):
                raise OSError(errno.EACCES, "systemd does not know this user", path)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Hang up."""
        self._sock.close()

    def call(self, member: str, signature: str, *values: Any) -> list[Any]:  # noqa: ANN401 - what D-Bus can carry
        """What a method of the manager answers. Raises Refused, OSError."""
        self._serial += 1
        serial = self._serial
        body = Writer()
        for kind, value in zip(split(signature), values, strict=True):
            body.put(kind, value)
        fields = [
            (_FIELD_PATH, ("o", _PATH)),
            (_FIELD_INTERFACE, ("s", _MANAGER)),
            (_FIELD_MEMBER, ("s", member)),
            (_FIELD_SIGNATURE, ("g", signature)),
        ]
        head = Writer(struct.pack("<4BII", ord("l"), _CALL, 0, 1, len(body.data), serial))
        head.put("a(yv)", fields if signature else fields[:-1])
        head.pad(8)
        self._sock.sendall(head.data + body.data)
        for _ in range(_MOST_SIGNALS):
            sort, told, answered = self._message()
            if sort == _SIGNAL:
                self._signals.append((told, answered))
            elif told.get(_FIELD_REPLY_TO) == serial:
                answer = _values(told, answered)
                if sort == _ERROR:
                    raise Refused(str(told.get(_FIELD_ERROR)), str(answer[0]) if answer else "refused")
                return answer
        raise OSError(errno.EPROTO, "systemd sends signals and no answer")

    def signal(self, member: str, seconds: float) -> list[Any] | None:
        """The next signal of that name, of those that have come or will; None where there is silence for `seconds`."""
        for _ in range(_MOST_SIGNALS):
            while self._signals:
                told, body = self._signals.pop(0)
                if told.get(_FIELD_MEMBER) == member:
                    return _values(told, body)
            if not select.select([self._sock], [], [], seconds)[0]:
                return None
            kind, told, body = self._message()
            if kind == _SIGNAL:
                self._signals.append((told, body))
        raise OSError(errno.EPROTO, f"systemd sends signals, and none of them is {member}")

    def _message(self) -> tuple[int, dict[int, Any], bytes]:
        """Kind, fields of the header, body; most bodies are of signals that nobody waits for, and are not looked into."""
        head = self._exactly(_HEAD.size)
        endian, kind, _, _, length, _, fields_length = _HEAD.unpack(head)
        if endian != ord("l") or length > _MOST or fields_length > _MOST:
            raise OSError(errno.EPROTO, "systemd sent what is no message of D-Bus as it is spoken here")
        fields = self._exactly(fields_length + -(_HEAD.size + fields_length) % 8)
        body = self._exactly(length)
        try:
            return kind, dict(Reader(head + fields, _HEAD.size - 4).get("a(yv)")), body
        except (struct.error, IndexError, UnicodeDecodeError) as error:
            raise OSError(errno.EPROTO, f"a message of systemd's cannot be read: {error}") from error

    def _exactly(self, count: int) -> bytes:
        parts = []
        while count:
            part = self._sock.recv(count)
            if not part:
                raise OSError(errno.ECONNRESET, "systemd has hung up")
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def _line(self) -> bytes:
        line = b""
        while not line.endswith(b"\r\n") and len(line) < 1024:
            line += self._exactly(1)
        return line


def _values(told: dict[int, Any], body: bytes) -> list[Any]:
    reader = Reader(body)
    try:
        return [reader.get(each) for each in split(str(told.get(_FIELD_SIGNATURE, "")))]
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise OSError(errno.EPROTO, f"a message of systemd's cannot be read: {error}") from error


def split(signature: str) -> list[str]:
    """The complete types of a signature: `sa(sv)u` is s, a(sv) and u."""
    found = []
    while signature:
        length = _length(signature)
        found.append(signature[:length])
        signature = signature[length:]
    return found


def _length(signature: str) -> int:
    if signature[0] == "a":
        return 1 + _length(signature[1:])
    if signature[0] not in "({":
        return 1
    depth = 0
    for place, letter in enumerate(signature, 1):
        depth += (letter in "({") - (letter in ")}")
        if depth == 0:
            return place
    raise OSError(errno.EPROTO, f"signature {signature!r} does not end")


def _alignment(signature: str) -> int:
    kind = signature[0]
    if kind in _NUMBERS:
        return _NUMBERS[kind][1]
    return 8 if kind in "({" else 1 if kind in "gv" else 4


class Writer:
    """Values as D-Bus lays them out, from the start of a message or of a body."""

    def __init__(self, data: bytes = b"") -> None:
        self.data = bytearray(data)

    def pad(self, alignment: int) -> None:
        """Zeros up to the next multiple."""
        self.data += bytes(-len(self.data) % alignment)

    def put(self, signature: str, value: Any) -> None:  # noqa: ANN401 - as the signature says
        """One value of one complete type; a variant is (signature, value)."""
        kind = signature[0]
        self.pad(_alignment(signature))
        if kind in _NUMBERS:
            self.data += struct.pack(_NUMBERS[kind][0], value)
        elif kind in "so":
            text = value.encode()
            self.data += struct.pack("<I", len(text)) + text + b"\0"
        elif kind == "g":
            self.data += bytes([len(value)]) + value.encode() + b"\0"
        elif kind == "v":
            self.put("g", value[0])
            self.put(value[0], value[1])
        elif kind == "a":
            place = len(self.data)
            self.data += b"\0\0\0\0"
            self.pad(_alignment(signature[1:]))
            begin = len(self.data)
            for item in value:
                self.put(signature[1:], item)
            struct.pack_into("<I", self.data, place, len(self.data) - begin)
        else:
            for each, item in zip(split(signature[1:-1]), value, strict=True):
                self.put(each, item)


class Reader:
    """The reverse. Raises struct.error, IndexError, UnicodeDecodeError where the bytes do not fit the signature.

    A variant says itself what it is, so a message may lie about that, too: types within types are bounded, and an array's
    items take room.
    """

    def __init__(self, data: bytes, at: int = 0) -> None:
        self._data = data
        self._at = at
        self._depth = 0

    def get(self, signature: str) -> Any:  # noqa: ANN401 - as the signature says
        """One value; a variant is its value alone."""
        if self._depth == _DEEPEST:
            raise IndexError("types lie too deep in each other")
        self._depth += 1
        try:
            return self._get(signature)
        finally:
            self._depth -= 1

    def _get(self, signature: str) -> Any:  # noqa: ANN401 - as the signature says
        kind = signature[0]
        self._at += -self._at % _alignment(signature)
        if kind in _NUMBERS:
            form, size = _NUMBERS[kind]
            value = struct.unpack_from(form, self._data, self._at)[0]
            self._at += size
            return value
        if kind in "so":
            return self._text(int(self.get("u")))
        if kind == "g":
            self._at += 1
            return self._text(self._data[self._at - 1])
        if kind == "v":
            return self.get(self.get("g"))
        if kind == "a":
            length = self.get("u")
            self._at += -self._at % _alignment(signature[1:])
            end = self._at + int(length)
            if end > len(self._data):
                raise IndexError("an array goes beyond its message")
            found = []
            while self._at < end:
                before = self._at
                found.append(self.get(signature[1:]))
                if self._at == before:
                    raise IndexError("an array's items take no room")
            return found
        if kind not in "({":
            raise IndexError(f"{kind!r} is no type")
        return [self.get(each) for each in split(signature[1:-1])]

    def _text(self, length: int) -> str:
        begin, self._at = self._at, self._at + length + 1
        if self._at > len(self._data):
            raise IndexError("a text goes beyond its message")
        return self._data[begin : begin + length].decode()
