"""The reader and the writer against each other and against the standard library's."""

import io
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sampan.errors import InvalidParameter
from sampan.files.tar_reader import DIRECTORY, FILE, HARD_LINK, SYMLINK, Entry, TarReader
from sampan.files.tar_writer import END, header, member, padding


def read(data: bytes) -> list[tuple[Entry, bytes]]:
    reader = TarReader(io.BytesIO(data).read)
    result = []
    for entry in reader:
        content = b""
        while chunk := reader.read(1000):
            content += chunk
        result.append((entry, content))
    return result


def entry(name: bytes, kind: bytes = FILE, **fields: object) -> Entry:
    made = Entry(name, kind)
    for key, value in fields.items():
        setattr(made, key, value)
    return made


ENTRIES = [
    entry(b"plain", mode=0o640, uid=5, gid=6, mtime=1_700_000_000 * 10**9),
    entry(b"n" * 100),
    entry(b"n" * 101),
    entry(b"d" * 90 + b"/" + b"n" * 90),
    entry(b"d/" * 300 + b"x"),
    entry("ümläut/船".encode()),
    entry(b"\xff\xfe"),
    entry(b"new\nline"),
    entry(b"link", SYMLINK, link=b"t" * 300),
    entry(b"hard", HARD_LINK, link=b"plain"),
    entry(b"dir", DIRECTORY, mode=0o1777),
    entry(b"big-ids", uid=4_000_000_000, gid=2_097_152),
    entry(b"old", mtime=-5 * 10**9),
    entry(b"late", mtime=((1 << 63) - 1) * 10**9),
    entry(b"device", b"3", major=4095, minor=1_048_575),
    entry(b"attributes", xattrs={b"user.a": b"1=2\n\0\xff", b"security.capability": b"\0" * 20}),
]


@pytest.mark.parametrize("written", ENTRIES, ids=[repr(one.name[:20]) for one in ENTRIES])
def test_what_is_written_is_read(written: Entry) -> None:
    ((found, _),) = read(header(written) + END)
    for field in ("kind", "link", "mode", "uid", "gid", "major", "minor", "mtime", "xattrs", "size"):
        assert getattr(found, field) == getattr(written, field), field
    assert found.name.rstrip(b"/") == written.name


@pytest.mark.parametrize("written", [one for one in ENTRIES if one.mtime >= 0], ids=lambda one: repr(one.name[:20]))
def test_the_standard_library_reads_it_too(written: Entry) -> None:
    with tarfile.open(fileobj=io.BytesIO(header(written) + END), encoding="utf-8", errors="surrogateescape") as tar:
        (found,) = tar.getmembers()
    assert found.name.encode("utf-8", "surrogateescape") == written.name
    assert found.linkname.encode() == written.link
    assert (found.mode, found.uid, found.gid) == (written.mode, written.uid, written.gid)


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_what_the_standard_library_writes_is_read(form: int) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as tar:
        for name in ("short", "d" * 80 + "/" + "n" * 80):
            info = tarfile.TarInfo(name)
            info.size, info.mtime, info.uid = 1500, 1_000_000_000, 1000
            tar.addfile(info, io.BytesIO(b"x" * 1500))
    found = read(buffer.getvalue())
    assert [(one.name, len(content), one.mtime, one.uid) for one, content in found] == [
        (b"short", 1500, 10**18, 1000),
        (b"d" * 80 + b"/" + b"n" * 80, 1500, 10**18, 1000),
    ]


def test_unread_content_is_passed_over() -> None:
    data = b"".join(member(b"a", b"x" * 700)) + b"".join(member(b"b", b"y")) + END
    assert [one.name for one in TarReader(io.BytesIO(data).read)] == [b"a", b"b"]


def test_fractions_of_a_second() -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("a")
        info.mtime = 1.5
        tar.addfile(info)
    assert read(buffer.getvalue())[0][0].mtime == 1_500_000_000


def test_padding() -> None:
    assert [len(padding(size)) for size in (0, 1, 511, 512, 513)] == [0, 511, 1, 0, 511]


@given(st.binary(max_size=3000))
@settings(max_examples=150, deadline=None, derandomize=True)
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        read(data)
    except InvalidParameter:
        pass


@given(st.integers(0, 511), st.integers(0, 255))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_a_changed_byte_is_noticed_or_harmless(position: int, value: int) -> None:
    data = bytearray(b"".join(member(b"name", b"content")) + END)
    data[position] = value
    try:
        found = read(bytes(data))
    except InvalidParameter:
        return
    assert len(found) == 1
    # Only what the checksum cannot tell apart: the byte as it was, or the same sum.
    assert found[0][1] in (b"content", b"")


@given(
    st.binary(min_size=1, max_size=400).filter(lambda name: b"\0" not in name and not name.endswith(b"/")),
    st.binary(max_size=2000),
    st.dictionaries(
        st.binary(min_size=1, max_size=40).filter(lambda key: b"=" not in key and b"\0" not in key),
        st.binary(max_size=300),
        max_size=4,
    ),
)
@settings(max_examples=100, deadline=None, derandomize=True)
def test_round_trip(name: bytes, content: bytes, xattrs: dict[bytes, bytes]) -> None:
    written = entry(name, size=len(content), xattrs=xattrs)
    data = header(written) + content + padding(len(content)) + END
    ((found, held),) = read(data)
    assert (found.name, held, found.xattrs) == (name, content, xattrs)
