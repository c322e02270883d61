"""Tar archives in: a strict and fast reader of ustar, GNU long names, pax headers and base-256 numbers.

Everything in a header is hostile: numbers are range-checked, text is bytes, extension headers are bounded. Multi-volume
archives and unknown entry types are refused by name rather than guessed. What the reader yields is not yet safe to use as a
path: see `paths.clean`. (POSIX.1-2024 pax, "ustar Interchange Format"; GNU tar manual, "Basic Tar".)
"""

from __future__ import annotations

import struct
import zlib

from sampan.errors import InvalidParameter
from sampan.files.paths import shown
from sampan.files.tar_sparse import BadMap, leading_map, listed_map, old_map

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sampan.files.tar_sparse import Regions

BLOCK = 512
MAX_EXTENSION = 1 << 20
"""Bytes of one pax header or GNU long name; and of all extended attributes of one entry."""
MAX_IDENTITY = (1 << 32) - 2
"""The highest user or group id: -1 as 32 bits means "unchanged" to chown(2)."""
MAX_MAJOR, MAX_MINOR = (1 << 12) - 1, (1 << 20) - 1
_MAX_SIZE = (1 << 63) - 1
_TIME_DIGITS = 19
"""Of seconds: some file systems keep a time of 64 bits, and what is packed from one is to be read again."""

FILE, HARD_LINK, SYMLINK, CHARACTER, BLOCK_DEVICE, DIRECTORY, FIFO = b"0", b"1", b"2", b"3", b"4", b"5", b"6"
_KINDS = frozenset((FILE, HARD_LINK, SYMLINK, CHARACTER, BLOCK_DEVICE, DIRECTORY, FIFO))
_SPARSE, _GNU_MAGIC = b"S", b"ustar  \0"
_REFUSED = {b"M": "a continued file", b"V": "a volume label", b"D": "a GNU dump directory"}
_XATTR = b"SCHILY.xattr."
_MAPPED = b"GNU.sparse."
_MAP_PARTS = (b"GNU.sparse.offset", b"GNU.sparse.numbytes")

_FIELDS = struct.Struct("100s8s8s8s12s12s8s1s100s8s32s32s8s8s155s12x")
_ZEROS = bytes(BLOCK)
_NO_HEADER = "archive/tar: invalid tar header"
# What the fields of headers say recurs: owners, modes, days. Bounded, because an archive chooses what comes in.
_known_numbers: dict[bytes, int] = {}
_KNOWN_LIMIT = 4096


class BadArchive(InvalidParameter):
    """The archive is damaged, or holds what cannot be stored exactly."""


class Truncated(BadArchive):
    """The archive ends too early; in the words of Go's reader, which clients know."""

    def __init__(self) -> None:
        super().__init__("unexpected EOF")


class Entry:
    """One member. `name` and `link` are as written; `mtime` in nanoseconds; `xattrs` by full name.

    `regions` is None, or for a sparse file where what the archive holds belongs; `size` is then the whole file's.
    """

    __slots__ = ("gid", "kind", "link", "major", "minor", "mode", "mtime", "name", "regions", "size", "uid", "xattrs")

    def __init__(self, name: bytes, kind: bytes, size: int = 0, link: bytes = b"", mode: int = 0o644) -> None:
        self.name = name
        self.kind = kind
        self.size = size
        self.link = link
        self.mode = mode
        self.uid = 0
        self.gid = 0
        self.mtime = 0
        self.major = 0
        self.minor = 0
        self.regions: Regions | None = None
        self.xattrs: dict[bytes, bytes] = {}


class TarReader:
    """Iterates over the entries of a stream; between two entries `read` gives the content of the last one.

    `source(n)` returns exactly n bytes, fewer only at the end of the stream (as a blocking BufferedReader does). Of a sparse
    file `read` gives what its regions hold, one after the other. Every fault of the archive raises BadArchive; the reader is
    of no use afterwards.
    """

    __slots__ = ("_left", "_padding", "_source", "entries")

    def __init__(self, source: Callable[[int], bytes]) -> None:
        self._source = source
        self._left = 0
        self._padding = 0
        self.entries = 0
        """Entries that were read so far."""

    def __iter__(self) -> Iterator[Entry]:
        while (entry := self.next()) is not None:
            yield entry

    def read(self, limit: int) -> bytes:
        """At most `limit` bytes of the current entry's content; b"" at its end."""
        wanted = min(limit, self._left)
        if not wanted:
            return b""
        data = self._source(wanted)
        if len(data) != wanted:
            raise Truncated
        self._left -= wanted
        return data

    def next(self) -> Entry | None:
        """The next entry, None at the end of the archive. What follows the end marker is not read."""
        long_name = long_link = None
        pax: dict[bytes, bytes] = {}
        extensions = 0
        while True:
            self._skip()
            header = self._source(BLOCK)
            if not header or header == _ZEROS:
                self._end(header, extensions)
                return None
            if len(header) != BLOCK:
                raise Truncated
            fields = _checked(header)
            kind = fields[7]
            if kind in (b"x", b"g", b"L", b"K"):
                extensions += 1
                if extensions > 16:
                    raise BadArchive("an entry has too many extension headers")
                body = self._extension(fields)
                if kind == b"x":
                    pax = _pax_records(body)
                elif kind == b"L":
                    long_name = body.rstrip(b"\0")
                elif kind == b"K":
                    long_link = body.rstrip(b"\0")
                continue
            entry = _entry(fields, long_name, long_link, pax)
            if entry.kind == FILE:
                self._left = entry.size
                self._padding = -entry.size % BLOCK
                if kind == _SPARSE or (pax and any(key.startswith(_MAPPED) for key in pax)):
                    self._map(entry, header, pax)
            self.entries += 1
            return entry

    def _map(self, entry: Entry, header: bytes, pax: dict[bytes, bytes]) -> None:
        """Read where the content of a sparse file belongs."""
        try:
            if header[156:157] == _SPARSE:
                if header[257:265] != _GNU_MAGIC:
                    raise BadMap("it has no GNU header")
                entry.size, entry.regions = old_map(header, lambda field: _number(field, "sparse"), self._block)
            elif pax.get(b"GNU.sparse.major", b"0") == b"0":
                numbers = pax.get(b"GNU.sparse.map", b"")
                size = pax.get(b"GNU.sparse.size", b"")
                entry.size, entry.regions = listed_map(numbers.split(b",") if numbers else (), size)
            elif pax[b"GNU.sparse.major"] == b"1":
                size = pax.get(b"GNU.sparse.realsize", b"")
                entry.size, entry.regions, _ = leading_map(lambda: self.read(BLOCK), size)
            else:
                raise BadMap("its version is unknown")
        except BadMap as error:
            raise BadArchive(f"the sparse file {shown(entry.name)} is malformed: {error}") from error
        if sum(length for _, length in entry.regions) != self._left:
            raise BadArchive(
                f"the sparse file {shown(entry.name)} holds {self._left} bytes, which is not what its map says"
            )

    def _block(self) -> bytes:
        data = self._source(BLOCK)
        if len(data) != BLOCK:
            raise Truncated
        return data

    def _end(self, header: bytes, extensions: int) -> None:
        if extensions:
            raise BadArchive("the archive ends inside an entry")
        if header:
            second = self._source(BLOCK)
            if second and second != _ZEROS:
                raise BadArchive("a zero block stands between the entries")

    def _extension(self, fields: tuple[bytes, ...]) -> bytes:
        size = _number(fields[4], "size")
        if not 0 <= size <= MAX_EXTENSION:
            raise BadArchive(f"an extension header of {size} bytes is longer than {MAX_EXTENSION}")
        self._left = size
        self._padding = -size % BLOCK
        return self.read(size)

    def _skip(self) -> None:
        """Pass over what is left of the content, and its padding."""
        left = self._left + self._padding
        while left:
            step = min(left, 1 << 20)
            if len(self._source(step)) != step:
                raise Truncated
            left -= step
        self._left = self._padding = 0


def _checked(header: bytes) -> tuple[bytes, ...]:
    fields: tuple[bytes, ...] = _FIELDS.unpack(header)
    try:
        stated = _number(fields[6], "checksum")
    except BadArchive as error:
        raise BadArchive(_NO_HEADER) from error
    own = sum(fields[6])
    # Adler-32's low half is the sum of the bytes and one, at the speed of C.
    if zlib.adler32(header) & 0xFFFF == (stated + own - 8 * 0x20 + 1) % 65521 and 0 <= stated < 1 << 17:
        return fields
    actual = sum(header) - own + 8 * 0x20
    if stated != actual:
        # Some old writers summed signed bytes; what they wrote differs by 256 for each byte above 127.
        high = sum(1 for byte in header if byte > 127) - sum(1 for byte in fields[6] if byte > 127)
        if stated != actual - 256 * high:
            raise BadArchive(_NO_HEADER)
    return fields


def _number(field: bytes, what: str) -> int:
    """An octal field, or a base-256 one (GNU). Negative only from base-256; the caller checks the range."""
    known = _known_numbers.get(field)
    if known is None:
        known = _read_number(field, what)
        if len(_known_numbers) >= _KNOWN_LIMIT:
            _known_numbers.clear()
        _known_numbers[field] = known
    return known


def _read_number(field: bytes, what: str) -> int:
    if field[0] & 0x80:
        value = int.from_bytes(field, "big")
        bits = 8 * len(field)
        # 0xff in front is two's complement, 0x80 only the mark.
        return value - (1 << bits) if field[0] == 0xFF else value - (1 << (bits - 1))
    text = field.strip(b"\0 ")
    if not text:
        return 0
    end = text.find(b"\0")
    if end >= 0:
        text = text[:end].rstrip(b" ")
    if not text.isdigit() or b"8" in text or b"9" in text:
        raise BadArchive(f"the {what} field {shown(field)} is no number")
    return int(text, 8)


def _text(field: bytes) -> bytes:
    end = field.find(b"\0")
    return field if end < 0 else field[:end]


def _entry(
    fields: tuple[bytes, ...], long_name: bytes | None, long_link: bytes | None, pax: dict[bytes, bytes]
) -> Entry:
    name = _text(fields[0])
    if fields[9][:6] == b"ustar\0" and fields[14][0]:
        name = _text(fields[14]) + b"/" + name
    if long_name is not None:
        name = long_name
    if pax:
        name = pax.get(b"GNU.sparse.name", pax.get(b"path", name))
    link = long_link if long_link is not None else _text(fields[8])
    kind = FILE if fields[7] in (b"\0", b"7", _SPARSE) else fields[7]
    if kind == FILE and name.endswith(b"/"):
        kind = DIRECTORY
    if kind not in _KINDS:
        what = _REFUSED.get(kind, f"an entry of the unknown type {shown(kind)}")
        raise BadArchive(f"{shown(name)} is {what}, which is not supported")
    entry = Entry(name, kind, 0, pax.get(b"linkpath", link), _number(fields[1], "mode") & 0o7777)
    if not name or b"\0" in name or b"\0" in entry.link:
        raise BadArchive(f"an entry has the name {shown(name)}")
    size = _decimal(pax[b"size"], "size") if b"size" in pax else _number(fields[4], "size")
    if not 0 <= size <= _MAX_SIZE:
        raise BadArchive(f"{shown(name)} has a size of {size} bytes")
    entry.size = size if kind == FILE else 0
    entry.uid = _identity(pax.get(b"uid"), fields[2], name)
    entry.gid = _identity(pax.get(b"gid"), fields[3], name)
    entry.mtime = _nanoseconds(pax[b"mtime"]) if b"mtime" in pax else _number(fields[5], "mtime") * 1_000_000_000
    if kind in (CHARACTER, BLOCK_DEVICE):
        entry.major, entry.minor = _number(fields[12], "major"), _number(fields[13], "minor")
        if not (0 <= entry.major <= MAX_MAJOR and 0 <= entry.minor <= MAX_MINOR):
            raise BadArchive(f"{shown(name)} is device {entry.major}:{entry.minor}, which does not exist")
    for key, value in pax.items():
        if key.startswith(_XATTR):
            entry.xattrs[key[len(_XATTR) :]] = value
    return entry


def _identity(pax: bytes | None, field: bytes, name: bytes) -> int:
    value = _number(field, "owner") if pax is None else _decimal(pax, "owner")
    if not 0 <= value <= MAX_IDENTITY:
        raise BadArchive(f"{shown(name)} belongs to user or group {value}, which is out of range")
    return value


def _decimal(text: bytes, what: str) -> int:
    if not text.isdigit() or len(text) > 20:
        raise BadArchive(f"the pax {what} {shown(text)} is no number")
    return int(text)


def _nanoseconds(text: bytes) -> int:
    """A pax time: seconds with an optional fraction, possibly negative."""
    whole, _, fraction = text.partition(b".")
    negative = whole.startswith(b"-")
    digits = whole[1:] if negative else whole
    if not (digits or b"0").isdigit() or not (fraction or b"0").isdigit() or len(digits) > _TIME_DIGITS or not text:
        raise BadArchive(f"the pax mtime {shown(text)} is no time")
    value = int(digits or b"0") * 1_000_000_000 + int(fraction[:9].ljust(9, b"0"))
    return -value if negative else value


def _pax_records(body: bytes) -> dict[bytes, bytes]:
    """The records `LENGTH KEY=VALUE\\n` of a pax header; later ones win. An empty value takes a key back."""
    records: dict[bytes, bytes] = {}
    parts: list[bytes] = []
    at = 0
    while at < len(body):
        space = body.find(b" ", at, at + 20)
        digits = body[at:space] if space > 0 else b""
        if not digits.isdigit():
            raise BadArchive("a pax header is malformed")
        end = at + int(digits)
        key, equals, value = body[space + 1 : end - 1].partition(b"=")
        if end <= space + 1 or end > len(body) or body[end - 1 : end] != b"\n" or not equals or not key:
            raise BadArchive("a pax header is malformed")
        if key in _MAP_PARTS:
            # Pax 0.0 repeats these two; joined they are the map of pax 0.1.
            parts.append(value)
        elif value or key.startswith(_XATTR):
            records[key] = value
        else:
            records.pop(key, None)
        at = end
    if parts:
        records[b"GNU.sparse.map"] = b",".join(parts)
    return records
