"""Raw tar archives, field by field: what no well-meaning writer would produce."""

import gzip
from dataclasses import dataclass, field

END = bytes(1024)


def block(
    name: bytes,
    kind: bytes = b"0",
    size: int | bytes = 0,
    link: bytes = b"",
    mode: int | bytes = 0o644,
    uid: int | bytes = 0,
    gid: int | bytes = 0,
    mtime: int | bytes = 0,
    major: int | bytes = 0,
    minor: int | bytes = 0,
    checksum: bytes | None = None,
) -> bytes:
    """One header. Numbers become octal text; bytes go in as they are."""
    head = (
        name.ljust(100, b"\0")[:100]
        + _number(mode, 8)
        + _number(uid, 8)
        + _number(gid, 8)
        + _number(size, 12)
        + _number(mtime, 12)
    )
    tail = kind + link.ljust(100, b"\0")[:100] + b"ustar\x0000" + bytes(64)
    tail += _number(major, 8) + _number(minor, 8) + bytes(167)
    if checksum is None:
        checksum = b"%06o\0 " % (sum(head) + sum(tail) + 256)
    return head + checksum + tail


def _number(value: int | bytes, width: int) -> bytes:
    return value.ljust(width, b"\0") if isinstance(value, bytes) else b"%0*o\0" % (width - 1, value)


def content(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


def file(name: bytes, data: bytes = b"data", **fields: int | bytes) -> bytes:
    return block(name, size=len(data), **fields) + content(data)  # type: ignore[arg-type]


def directory(name: bytes, mode: int = 0o755) -> bytes:
    return block(name, b"5", mode=mode)


def symlink(name: bytes, target: bytes) -> bytes:
    return block(name, b"2", link=target)


def hard_link(name: bytes, target: bytes) -> bytes:
    return block(name, b"1", link=target)


def pax(records: dict[bytes, bytes], entry: bytes) -> bytes:
    """`entry` with a pax header in front."""
    body = b"".join(_record(key, value) for key, value in records.items())
    return block(b"pax", b"x", size=len(body)) + content(body) + entry


def _record(key: bytes, value: bytes) -> bytes:
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    while len(str(length)) + rest != length:
        length = rest + len(str(length))
    return b"%d %s=%s\n" % (length, key, value)


def old_sparse(name: bytes, regions: list[tuple[int, int]], size: int, data: bytes, stored: int | None = None) -> bytes:
    """A sparse file of GNU's old form; beyond four regions go into further blocks."""
    pairs = [b"%011o\0%011o\0" % pair for pair in regions]
    head = bytearray(block(name, b"S", size=len(data) if stored is None else stored))
    head[257:265] = b"ustar  \0"
    head[345:500] = bytes(155)
    first = b"".join(pairs[:4])
    head[386 : 386 + len(first)] = first
    head[482] = len(pairs) > 4
    head[483:495] = b"%011o\0" % size
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    more = [pairs[at : at + 21] for at in range(4, len(pairs), 21)]
    blocks = [b"".join(part).ljust(504, b"\0") + bytes([at + 1 < len(more)]) + bytes(7) for at, part in enumerate(more)]
    return bytes(head) + b"".join(blocks) + content(data)


def pax_sparse(version: bytes, name: bytes, numbers: list[int], size: int, data: bytes) -> bytes:
    """A sparse file of pax 0.0, 0.1 or 1.0; `numbers`: offset, length, offset, length …"""
    listed = [b"%d" % number for number in numbers]
    if version == b"1.0":
        table = b"\n".join([b"%d" % (len(numbers) // 2), *listed, b""])
        data = content(table) + data
        records = {b"GNU.sparse.major": b"1", b"GNU.sparse.minor": b"0", b"GNU.sparse.realsize": b"%d" % size}
        return pax({**records, b"GNU.sparse.name": name}, file(b"x", data))
    if version == b"0.1":
        records = {b"GNU.sparse.map": b",".join(listed), b"GNU.sparse.name": name, b"GNU.sparse.size": b"%d" % size}
        return pax(records, file(b"x", data))
    keys = (b"GNU.sparse.offset", b"GNU.sparse.numbytes")
    body = _record(b"GNU.sparse.size", b"%d" % size)
    body += b"".join(_record(keys[at % 2], number) for at, number in enumerate(listed))
    return block(b"pax", b"x", size=len(body)) + content(body) + file(name, data)


def gnu_long(kind: bytes, text: bytes, entry: bytes) -> bytes:
    body = text + b"\0"
    return block(b"././@LongLink", kind, size=len(body)) + content(body) + entry


def negative(width: int) -> bytes:
    """-1 in base 256."""
    return b"\xff" * width


def base256(value: int, width: int) -> bytes:
    return (value | 1 << (8 * width - 1)).to_bytes(width, "big")


@dataclass(frozen=True)
class Case:
    """An archive, and what becomes of it: `stored` names what must be there, None says that it is refused."""

    name: str
    archive: bytes
    stored: dict[str, bytes | None] | None = field(default=None)
    """path → content of a file, or None for "anything is there" """
    absent: tuple[str, ...] = ()


def cases(canary: bytes) -> list[Case]:
    """The whole matrix. `canary` is the absolute path of a directory outside, with a file `file` in it."""
    return [*_paths(canary), *_kinds(canary), *_whiteouts(), *_numbers(), *_extensions(), *_sparse(), *_streams()]


def _paths(canary: bytes) -> list[Case]:
    relative = canary.lstrip(b"/")
    deep = b"/".join([b"d" * 200] * 25)
    chain = b"".join(symlink(b"l%d" % n, b"l%d" % (n + 1)) for n in range(60)) + directory(b"l60")
    return [
        Case("absolute", file(b"/etc/x") + END, {"etc/x": b"data"}),
        Case("dotdot", file(b"../x") + END),
        Case("only-dotdot", directory(b"..") + END),
        Case("dotdot-inside", file(b"a/../../x") + END),
        Case("dotdot-harmless", directory(b"a") + file(b"a/../b") + END, {"b": b"data"}),
        Case("root-is-file", file(b"./") [:512].replace(b"./", b". ") + END),
        Case("symlink-abs-write", symlink(b"e", canary) + file(b"e/file", b"evil") + END),
        Case("symlink-abs-dir", symlink(b"e", canary) + directory(b"e") + file(b"e/file", b"in") + END, {"e/file": b"in"}),
        Case("symlink-rel-write", symlink(b"e", b"../" * 12 + relative) + file(b"e/file", b"evil") + END),
        Case("symlink-to-inside", directory(b"d") + symlink(b"e", b"/d") + file(b"e/f") + END, {"d/f": b"data"}),
        Case("symlink-chain", chain + file(b"l0/f") + END),
        Case("symlink-long", gnu_long(b"K", b"x/" * 2500, symlink(b"s", b"")) + END),
        Case("symlink-empty", symlink(b"s", b"") + END),
        Case("hardlink-outside-abs", hard_link(b"h", canary + b"/file") + END),
        Case("hardlink-outside-rel", hard_link(b"h", b"../" * 12 + relative + b"/file") + END),
        Case("hardlink-to-symlink", symlink(b"s", canary + b"/file") + hard_link(b"h", b"s") + file(b"h", b"new") + END,
             {"h": b"new"}),
        Case("hardlink-through-symlink", symlink(b"e", canary) + hard_link(b"h", b"e/file") + END),
        Case("hardlink-self", file(b"f") + hard_link(b"f", b"f") + END),
        Case("hardlink-root", hard_link(b"h", b"/") + END),
        Case("hardlink-directory", directory(b"d") + hard_link(b"h", b"d") + END),
        Case("hardlink", file(b"f") + hard_link(b"d/h", b"/f") + END, {"d/h": b"data"}),
        Case("directory-then-symlink", directory(b"d") + symlink(b"d", canary) + file(b"d/file", b"evil") + END),
        Case("symlink-then-directory", symlink(b"d", canary) + directory(b"d", 0o700) + END, {"d": None}),
        Case("cached-directory-swapped", file(b"d/a") + symlink(b"d", canary) + file(b"d/file", b"evil") + END),
        Case("file-under-file", file(b"f") + file(b"f/g") + END),
        Case("duplicates", file(b"f", b"one") + file(b"f", b"two") + END, {"f": b"two"}),
        Case("file-then-directory", file(b"f") + directory(b"f") + file(b"f/g") + END, {"f/g": b"data"}),
        Case("directory-then-file", file(b"d/e/f") + file(b"d", b"flat") + END, {"d": b"flat"}),
        Case("path-too-long", gnu_long(b"L", deep, file(b"x")) + END),
        Case("component-too-long", gnu_long(b"L", b"n" * 300, file(b"x")) + END),
        Case("newline", file(b"a\nb") + END, {"a\nb": b"data"}),
        Case("not-utf8", file(b"\xff\xfe") + END, {"\udcff\udcfe": b"data"}),
        Case("nul-in-pax-path", pax({b"path": b"a\0b"}, file(b"x")) + END),
        Case("empty-name", file(b"") + END),
    ]  # fmt: skip


def _kinds(canary: bytes) -> list[Case]:
    return [
        Case("device", block(b"n", b"3", major=1, minor=3, mode=0o666) + END, {"n": None}),
        Case("device-0-0", block(b"n", b"3") + END),
        Case("device-major", block(b"n", b"3", major=4096, minor=1) + END),
        Case("device-minor", block(b"n", b"4", major=8, minor=1 << 20) + END),
        Case("device-negative", block(b"n", b"3", major=negative(8), minor=1) + END),
        Case("fifo", block(b"p", b"6") + END, {"p": None}),
        Case("unknown-kind", block(b"u", b"Z") + END),
        Case("sparse", block(b"s", b"S") + END),
        Case("multi-volume", block(b"m", b"M") + END),
        Case("directory-with-size", block(b"d", b"5", size=512) + file(b"f") + END, {"f": b"data"}),
        Case("symlink-with-size", block(b"s", b"2", size=512, link=b"x") + file(b"f") + END, {"f": b"data"}),
        Case("setuid", file(b"s", mode=0o4755) + END, {"s": b"data"}),
        Case("chmod-through-symlink", symlink(b"s", canary + b"/file") + directory(b"s", 0o777) + END, {"s": None}),
    ]


def _whiteouts() -> list[Case]:
    return [
        Case("whiteout-of-nothing", file(b".wh.", b"") + END),
        Case("whiteout-of-dot", file(b".wh..", b"") + END),
        Case("whiteout-of-dotdot", file(b".wh...", b"") + END),
        Case("whiteout-directory", file(b".wh.a/b") + END),
        Case("whiteout-inside", directory(b"d") + file(b"d/.wh.gone", b"") + END, {"d": None}),
        Case(
            "opaque-through-symlink",
            symlink(b"e", b"/..") + file(b"e/.wh..wh..opq", b"") + file(b"f") + END,
            {"f": b"data"},
        ),
        Case("own-file-stays", file(b"f") + file(b".wh.f", b"") + END, {"f": b"data"}),
        Case("own-directory-stays", file(b"d/f") + file(b".wh.d", b"") + END, {"d/f": b"data"}),
        Case(
            "aufs",
            file(b".wh..wh.plnk/1.2") + file(b".wh..wh.aufs") + file(b"f") + END,
            {"f": b"data"},
            (".wh..wh.plnk",),
        ),
        Case("hardlink-to-whiteout", file(b".wh.w", b"") + hard_link(b"h", b"w") + END),
    ]


def _numbers() -> list[Case]:
    return [
        Case("uid-negative", file(b"f", uid=negative(8)) + END),
        Case("uid-2^32-1", file(b"f", uid=base256((1 << 32) - 1, 8)) + END),
        Case("uid-2^32", file(b"f", uid=base256(1 << 32, 8)) + END),
        Case("gid-huge", file(b"f", gid=base256(1 << 60, 8)) + END),
        Case("uid-large", file(b"f", uid=base256((1 << 31) + 5, 8)) + END, {"f": b"data"}),
        Case("size-negative", block(b"f", size=negative(12)) + END),
        Case("size-huge", block(b"f", size=base256(1 << 62, 12)) + END),
        Case("size-beyond-archive", block(b"f", size=1 << 20) + END),
        Case("size-no-number", block(b"f", size=b"12a4") + END),
        Case("size-minus", block(b"f", size=b"-1") + END),
        Case("pax-size-negative", pax({b"size": b"-5"}, file(b"f")) + END),
        Case("pax-size-digits", pax({b"size": b"9" * 5000}, file(b"f")) + END),
        Case("mtime-negative", file(b"f", mtime=negative(12)) + END, {"f": b"data"}),
        Case("mtime-huge", file(b"f", mtime=base256(1 << 80, 12)) + END, {"f": b"data"}),
        Case("checksum", block(b"f", checksum=b"000000\0 ") + END),
    ]


def _extensions() -> list[Case]:
    overlay = {b"SCHILY.xattr.trusted.overlay.redirect": b"/etc"}
    return [
        Case("pax-path", pax({b"path": b"real"}, file(b"x")) + END, {"real": b"data"}, ("x",)),
        Case("pax-path-escape", pax({b"path": b"../../x"}, file(b"x")) + END),
        Case("pax-linkpath", file(b"f") + pax({b"linkpath": b"f"}, hard_link(b"h", b"x")) + END, {"h": b"data"}),
        Case("pax-size", pax({b"size": b"4"}, block(b"f") + content(b"DATA")) + END, {"f": b"DATA"}),
        Case("pax-sparse", pax({b"GNU.sparse.major": b"1"}, file(b"f")) + END),
        Case("pax-malformed", block(b"p", b"x", size=5) + content(b"99 ab") + file(b"f") + END),
        Case("pax-zero-length", block(b"p", b"x", size=4) + content(b"0 a=") + file(b"f") + END),
        Case("pax-huge", block(b"p", b"x", size=2 << 20) + bytes(2 << 20) + file(b"f") + END),
        Case("pax-endless", b"".join(block(b"p", b"x") for _ in range(100)) + file(b"f") + END),
        Case("pax-without-entry", pax({b"path": b"x"}, b"") + END),
        Case("global-header", block(b"g", b"g", size=19) + content(b"19 comment=abcdefg\n") + file(b"f") + END, {"f": b"data"}),
        Case("gnu-name-huge", block(b"L", b"L", size=10 << 20) + bytes(10 << 20) + file(b"f") + END),
        Case("xattr-overlay", pax(overlay, directory(b"d")) + END),
        Case("xattr-overlay-user", pax({b"SCHILY.xattr.user.overlay.opaque": b"y"}, directory(b"d")) + END),
        Case("xattr-capability",
             pax({b"SCHILY.xattr.security.capability": b"\1\0\0\2\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0"}, file(b"f")) + END,
             {"f": b"data"}),
        Case("xattr-capability-bad", pax({b"SCHILY.xattr.security.capability": b"nonsense"}, file(b"f")) + END),
        Case("xattr-label", pax({b"SCHILY.xattr.security.selinux": b"x"}, file(b"f")) + END, {"f": b"data"}),
    ]  # fmt: skip


def _sparse() -> list[Case]:
    whole = b"\0" * 10 + b"abc" + b"\0" * 7 + b"de" + b"\0" * 3
    many = [(n * 10, 1) for n in range(60)]
    spread = b"".join(b"x" + bytes(9) for _ in range(60))
    cases = [
        Case("sparse-old", old_sparse(b"s", [(10, 3), (20, 2)], 25, b"abcde") + END, {"s": whole}),
        Case("sparse-old-many", old_sparse(b"s", many, 600, b"x" * 60) + file(b"f") + END, {"s": spread, "f": b"data"}),
        Case("sparse-old-empty", old_sparse(b"s", [], 5, b"") + END, {"s": bytes(5)}),
        Case("sparse-old-overlap", old_sparse(b"s", [(10, 3), (12, 2)], 25, b"abcde") + END),
        Case("sparse-old-behind", old_sparse(b"s", [(10, 5)], 12, b"abcde") + END),
        Case("sparse-old-less", old_sparse(b"s", [(10, 5)], 25, b"abc") + END),
        Case("sparse-old-huge", old_sparse(b"s", [(0, 1)], (1 << 33) - 1, b"a", 1 << 32) + END),
        Case("sparse-old-cut", old_sparse(b"s", many, 600, b"x" * 60)[:900]),
        Case("sparse-old-endless", old_sparse(b"s", [(n, 1) for n in range(150_000)], 1 << 20, b"") + END),
        Case("sparse-1.0-endless", pax_sparse(b"1.0", b"s", [0, 0] * 90_000 + [9], 1, b"")[:-2048] + END),
        Case(
            "sparse-1.0-no-digits",
            pax({b"GNU.sparse.major": b"1", b"GNU.sparse.realsize": b"9"}, file(b"x", b"z" * 512)) + END,
        ),
        Case("sparse-unknown-version", pax({b"GNU.sparse.major": b"2"}, file(b"x")) + END),
        Case("sparse-name-escape", pax_sparse(b"1.0", b"../../x", [0, 1], 1, b"a") + END),
    ]
    for version in (b"0.0", b"0.1", b"1.0"):
        name = f"sparse-{version.decode()}"
        cases += [
            Case(name, pax_sparse(version, b"s", [10, 3, 20, 2], 25, b"abcde") + END, {"s": whole}, ("x",)),
            Case(f"{name}-overlap", pax_sparse(version, b"s", [10, 3, 12, 2], 25, b"abcde") + END),
            Case(f"{name}-odd", pax_sparse(version, b"s", [10], 25, b"abcde") + END),
            Case(f"{name}-behind", pax_sparse(version, b"s", [10, 5], 12, b"abcde") + END),
            Case(f"{name}-negative", pax_sparse(version, b"s", [-1, 5], 12, b"abcde") + END),
        ]
    return cases


def _streams() -> list[Case]:
    good = file(b"f") + END
    return [
        Case("empty", b"", {}),
        Case("no-end-marker", file(b"f"), {"f": b"data"}),
        Case("trailing-garbage", good + b"garbage" * 1000, {"f": b"data"}),
        Case("not-a-tar", b"#!/bin/sh\nexit 1\n" * 100),
        Case("short", b"abc"),
        Case("truncated-header", file(b"f")[:300]),
        Case("truncated-content", file(b"f", b"x" * 2000)[:1500]),
        Case("zero-block-between", bytes(512) + good),
        Case("gzip", gzip.compress(good), {"f": b"data"}),
        Case("gzip-truncated", gzip.compress(file(b"f", b"x" * 100_000) + END)[:-20]),
        Case(
            "gzip-concatenated",
            gzip.compress(file(b"a")) + gzip.compress(file(b"b") + END),
            {"a": b"data", "b": b"data"},
        ),
        Case("gzip-garbage-behind", gzip.compress(good) + b"garbage"),
        Case("gzip-zeros-behind", gzip.compress(good) + bytes(1000), {"f": b"data"}),
        Case("gzip-bad-crc", _corrupted(gzip.compress(good))),
    ]


def _corrupted(data: bytes) -> bytes:
    return data[:-8] + bytes([data[-8] ^ 1]) + data[-7:]
