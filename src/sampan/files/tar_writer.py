"""Tar archives out: ustar headers, with a pax header in front where ustar is too small. Deterministic for the same entries.

As Docker writes layers: whole seconds, no user or group names, `SCHILY.xattr.` for attributes.
"""

from __future__ import annotations

from sampan.files.tar_reader import BLOCK, FILE, Entry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

END = bytes(2 * BLOCK)
"""The end marker of an archive."""
_MAX_OCTAL_SIZE = 8**11 - 1
_MAX_OCTAL_ID = 8**7 - 1


def header(entry: Entry) -> bytes:
    """What stands in front of the entry's content. A directory's name ends with a slash here, whatever `entry.name` does."""
    name = entry.name
    if entry.kind == b"5" and not name.endswith(b"/"):
        name += b"/"
    seconds = entry.mtime // 1_000_000_000
    pax: dict[bytes, bytes] = {}
    prefix, short = _split_name(name)
    if short is None or not name.isascii():
        pax[b"path"] = name
        short = short if short is not None else name[:100]
    if len(entry.link) > 100 or not entry.link.isascii():
        pax[b"linkpath"] = entry.link
    for key, number, most in (
        (b"size", entry.size, _MAX_OCTAL_SIZE),
        (b"uid", entry.uid, _MAX_OCTAL_ID),
        (b"gid", entry.gid, _MAX_OCTAL_ID),
        (b"mtime", seconds, _MAX_OCTAL_SIZE),
    ):
        if not 0 <= number <= most:
            pax[key] = b"%d" % number
    for attribute, value in entry.xattrs.items():
        pax[b"SCHILY.xattr." + attribute] = value
    block = _block(entry, prefix, short, seconds)
    return _pax_header(pax, short) + block if pax else block


def padding(size: int) -> bytes:
    """What follows a content of `size` bytes."""
    return bytes(-size % BLOCK)


def member(name: bytes, content: bytes, mtime: int = 0, mode: int = 0o644) -> Iterator[bytes]:
    """A small regular file, whole."""
    entry = Entry(name, FILE, len(content), mode=mode)
    entry.mtime = mtime
    yield header(entry)
    yield content
    yield padding(len(content))


def _split_name(name: bytes) -> tuple[bytes, bytes | None]:
    """ustar's prefix and name; None where it does not fit."""
    if len(name) <= 100:
        return b"", name
    cut = name.rfind(b"/", 0, min(156, len(name) - 1))
    if cut > 0 and len(name) - cut - 1 <= 100:
        return name[:cut], name[cut + 1 :]
    return b"", None


def _octal(value: int, width: int, most: int) -> bytes:
    return b"%0*o\0" % (width - 1, value if 0 <= value <= most else 0)


def _block(entry: Entry, prefix: bytes, name: bytes, seconds: int) -> bytes:
    head = b"".join(
        (
            name.ljust(100, b"\0"),
            _octal(entry.mode, 8, _MAX_OCTAL_ID),
            _octal(entry.uid, 8, _MAX_OCTAL_ID),
            _octal(entry.gid, 8, _MAX_OCTAL_ID),
            _octal(entry.size, 12, _MAX_OCTAL_SIZE),
            _octal(seconds, 12, _MAX_OCTAL_SIZE),
        )
    )
    tail = b"".join(
        (
            entry.kind,
            entry.link[:100].ljust(100, b"\0"),
            b"ustar\x0000",
            bytes(64),
            _octal(entry.major, 8, _MAX_OCTAL_ID),
            _octal(entry.minor, 8, _MAX_OCTAL_ID),
            prefix.ljust(155, b"\0"),
            bytes(12),
        )
    )
    checksum = sum(head) + sum(tail) + 8 * 0x20
    return head + b"%06o\0 " % checksum + tail


def _pax_header(records: dict[bytes, bytes], name: bytes) -> bytes:
    body = b"".join(_record(key, records[key]) for key in sorted(records))
    entry = Entry(b"PaxHeaders.0/" + name.strip(b"/").rpartition(b"/")[2][:80], b"x", len(body))
    return _block(entry, b"", entry.name, 0) + body + padding(len(body))


def _record(key: bytes, value: bytes) -> bytes:
    """`LENGTH KEY=VALUE\\n`, where LENGTH counts its own digits, too."""
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    if len(str(length)) != len(str(rest)):
        length = rest + len(str(length))
    return b"%d %s=%s\n" % (length, key, value)
