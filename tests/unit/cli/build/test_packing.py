"""A directory becomes a tar: what is in it, in which order, and what is left out."""

import io
import os
import socket
import tarfile
from collections.abc import Collection
from pathlib import Path

import pytest

from sampan.cli.build.packing import Directory, Document, compressed, pack
from sampan.cli.failures import Exit
from sampan.dockerfile.ignore import Ignore, read_patterns


def make(root: Path, *paths: str) -> None:
    for path in paths:
        place = root / path
        if path.endswith("/"):
            place.mkdir(parents=True, exist_ok=True)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(path)


def packed(root: Path, patterns: str = "", kept: Collection[str] = (), prefix: str = "") -> list[tarfile.TarInfo]:
    ignore = Ignore(read_patterns(patterns)) if patterns else None
    data = b"".join(pack([Directory(str(root), ignore, kept, prefix)]))
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return archive.getmembers()


def names(members: list[tarfile.TarInfo]) -> list[str]:
    return [member.name for member in members]


def test_everything_in_one_order_and_roots(tmp_path: Path) -> None:
    make(tmp_path, "b", "a/z", "a/y/x", "c/")
    members = packed(tmp_path)
    assert names(members) == ["a", "a/y", "a/y/x", "a/z", "b", "c"]
    assert {(member.uid, member.gid, member.uname) for member in members} == {(0, 0, "")}


def test_kinds_modes_and_times(tmp_path: Path) -> None:
    make(tmp_path, "file")
    os.utime(tmp_path / "file", (5, 5))
    (tmp_path / "file").chmod(0o4751)
    os.link(tmp_path / "file", tmp_path / "second")
    os.symlink("/nowhere/at all", tmp_path / "link")
    os.mkfifo(tmp_path / "pipe", 0o600)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        found = {member.name: member for member in packed(tmp_path)}
    assert set(found) == {"file", "second", "link", "pipe"}
    assert (found["file"].mode, found["file"].mtime, found["file"].size) == (0o4751, 5, 4)
    assert (found["second"].type, found["second"].linkname) == (tarfile.LNKTYPE, "file")
    assert found["link"].linkname == "/nowhere/at all"
    assert found["pipe"].type == tarfile.FIFOTYPE


def test_contents_large_empty_and_of_odd_names(tmp_path: Path) -> None:
    big = os.urandom(700_001)
    (tmp_path / "big").write_bytes(big)
    (tmp_path / "empty").write_bytes(b"")
    odd = os.fsdecode(b"\xff " + b"n" * 150)
    (tmp_path / odd).write_bytes(b"odd")
    data = b"".join(pack([Directory(str(tmp_path))]))
    with tarfile.open(fileobj=io.BytesIO(data), encoding="utf-8", errors="surrogateescape") as archive:
        contents = {member.name: archive.extractfile(member) for member in archive.getmembers()}
        read = {name: file.read() for name, file in contents.items() if file is not None}
    assert read == {"big": big, "empty": b"", odd: b"odd"}


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        ("*.log", ["d", "d/x.log", "d/y", "e", "e/f", "e/f/g"]),
        ("**/*.log\nd", ["e", "e/f", "e/f/g"]),
        ("*\n!e/f", ["e", "e/f", "e/f/g"]),
        ("*\n!e/f/g", ["e", "e/f", "e/f/g"]),
        ("*\n!e/f/none", []),
        ("e\n!**/g", ["d", "d/x.log", "d/y", "e", "e/f", "e/f/g", "x.log"]),
        ("**", []),
    ],
)
def test_ignored(tmp_path: Path, patterns: str, expected: list[str]) -> None:
    make(tmp_path, "d/x.log", "d/y", "e/f/g", "x.log")
    assert names(packed(tmp_path, patterns)) == expected


def test_what_is_kept_is_there_all_the_same(tmp_path: Path) -> None:
    make(tmp_path, "docker/prod/Dockerfile", "docker/prod/other", "x", ".dockerignore")
    found = names(packed(tmp_path, "*", kept=["docker/prod/Dockerfile", ".dockerignore"]))
    assert found == [".dockerignore", "docker", "docker/prod", "docker/prod/Dockerfile"]


def test_a_prefix_goes_before_links_too(tmp_path: Path) -> None:
    make(tmp_path, "a")
    os.link(tmp_path / "a", tmp_path / "b")
    found = packed(tmp_path, prefix="context/")
    assert [(member.name, member.linkname) for member in found] == [("context/a", ""), ("context/b", "context/a")]


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(Exit, match=r"cannot read the build context: .*/gone: no such file or directory"):
        packed(tmp_path / "gone")


def test_a_document_and_compression() -> None:
    plain = [*pack([Document("Dockerfile", b"FROM x")])]
    with tarfile.open(fileobj=io.BytesIO(b"".join(compressed(plain))), mode="r:gz") as archive:
        (member,) = archive.getmembers()
        file = archive.extractfile(member)
        assert file is not None
        assert (member.name, file.read()) == ("Dockerfile", b"FROM x")


def test_not_all_of_it_is_held(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(bytes(3_000_000))
    assert max(map(len, pack([Directory(str(tmp_path))]))) < 600_000
