r"""Writes Docker's json-file log: one JSON object for each line a program has put out.

    {"log":"hello\n","stream":"stdout","time":"2026-11-23T20:00:00.123456789Z"}

Escapes are those of Go's encoder, which clients compare with.

Loaded by the launcher.
"""

from __future__ import annotations

import time

from sampan.logs.line_writer import LineWriter

_HEAD = b'{"log":"'

# Go's encoder knows short forms for these three only; every other control character is \u00XX, and so are < > and &.
_ESCAPES = {b: b"\\u00%02x" % b for b in (*range(0x20), *b"<>&")} | {0x0A: b"\\n", 0x0D: b"\\r", 0x22: b'\\"'}
_PLAIN = bytes(b for b in range(256) if b not in _ESCAPES and b != 0x5C) + b"\n"
# One U+FFFD for each byte that is not UTF-8, as Go has it; `surrogateescape` finds exactly those bytes.
_UNDECODABLE = {0xDC00 + byte: "\\ufffd" for byte in range(0x80, 0x100)}


class JsonFileWriter(LineWriter):
    """See `LogFile` for bounds and failures. `attributes` is a JSON object that every record carries, b"" for none."""

    __slots__ = ("_second", "_tails", "_text")

    def __init__(
        self, path: str, max_size: int = -1, max_files: int = 1, attributes: bytes = b"", compress: bool = False
    ) -> None:
        extra = b'"attrs":%s,' % attributes if attributes else b""
        self._tails = {
            (number, whole): b'%s","stream":"%s",%s"time":"' % (b"\\n" if whole else b"", name, extra)
            for number, name in ((1, b"stdout"), (2, b"stderr"))
            for whole in (True, False)
        }
        self._second = -1
        self._text = b""
        super().__init__(path, max_size, max_files, compress, numbered=False)

    def around(self, stream: int, whole: bool, moment: bytes) -> tuple[bytes, bytes]:
        """See `LineWriter`, here and below."""
        return _HEAD, self._tails[stream, whole] + moment + b'"}\n'

    def escaped(self, text: bytes) -> bytes:
        """Go's escapes."""
        return escape(text)

    def moment(self, time_ns: int) -> bytes:
        """The time as Go's RFC3339Nano writes it: no zeros at the end of the fraction."""
        second, fraction = divmod(time_ns, 1_000_000_000)
        if second != self._second:
            self._second = second
            self._text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second)).encode()
        return self._text + (b".%09d" % fraction).rstrip(b"0") + b"Z" if fraction else self._text + b"Z"


def escape(data: bytes) -> bytes:
    r"""`data` as it stands in a JSON string by Go's rules, but for its newlines, which stay.

    Control characters, quote, backslash, `<`, `>`, `&`, U+2028 and U+2029 are escaped; a byte that is not UTF-8 becomes \ufffd.
    """
    special = data.translate(None, _PLAIN)
    if special:
        found = set(special)
        if 0x5C in found:
            found.remove(0x5C)
            data = data.replace(b"\\", b"\\\\")
        for byte in found:
            data = data.replace(b"%c" % byte, _ESCAPES[byte])
    if data.isascii():
        return data
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        data = data.decode("utf-8", "surrogateescape").translate(_UNDECODABLE).encode("utf-8")
    return data.replace(b"\xe2\x80\xa8", b"\\u2028").replace(b"\xe2\x80\xa9", b"\\u2029")
