import os
import sqlite3
import struct
import tracemalloc
from pathlib import Path

import pytest

from sampan.build.outputs import packages
from sampan.build.outputs.packages import Distribution, Inventory, Package, inventory
from sampan.build.outputs.spdx import bill, package_url
from sampan.spec.ids import ImageId

DPKG = """Package: curl
Status: install ok installed
Version: 7.88.1-10
Architecture: amd64
Source: curl-source (7.88)
Description: a
 longer: text

Package: gone
Status: deinstall ok config-files
Version: 1

Package: tzdata
Version: 2024a
"""
APK = "C:Q1abc=\nP:musl\nV:1.2.4-r2\nA:x86_64\nL:MIT\no:musl\n\nP:busybox\nV:1.36\nA:x86_64\nL:GPL-2.0-only\n"
IMAGE = ImageId("sha256:" + "a" * 64)


def put(root: Path, path: str, content: str | bytes) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_bytes(content if isinstance(content, bytes) else content.encode())


def found(root: Path) -> Inventory:
    descriptor = os.open(root, os.O_RDONLY)
    try:
        return inventory(descriptor)
    finally:
        os.close(descriptor)


def header(**tags: str) -> bytes:
    numbers = {"name": 1000, "version": 1001, "release": 1002, "license": 1014, "arch": 1022, "source": 1044}
    entries, data = b"", b""
    for name, value in tags.items():
        entries += struct.pack(">IIII", numbers[name], 6, len(data), 1)
        data += value.encode() + b"\0"
    entries += struct.pack(">IIII", 1003, 4, len(data), 1)
    data += struct.pack(">I", 2)
    return struct.pack(">II", len(tags) + 1, len(data)) + entries + data


def rpmdb(path: Path, *blobs: bytes) -> bytes:
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob BLOB NOT NULL)")
    database.executemany("INSERT INTO Packages(blob) VALUES (?)", [(blob,) for blob in blobs])
    database.commit()
    database.close()
    return path.read_bytes()


def test_every_kind(tmp_path: Path) -> None:
    root = tmp_path / "root"
    put(root, "usr/lib/os-release", 'ID=debian\nVERSION_ID="12"\n')
    (root / "etc").mkdir()
    (root / "etc/os-release").symlink_to("../usr/lib/os-release")
    put(root, "var/lib/dpkg/status", DPKG)
    put(root, "var/lib/dpkg/status.d/base", "Package: base-files\nVersion: 12.4\nArchitecture: amd64\n")
    put(root, "lib/apk/db/installed", APK)
    bash = header(
        name="bash", version="5.1", release="2.fc39", license="GPLv3+", arch="x86_64", source="bash-5.1.src.rpm"
    )
    put(
        root,
        "var/lib/rpm/rpmdb.sqlite",
        rpmdb(tmp_path / "db", bash, header(name="gpg-pubkey", version="1", release="1")),
    )
    put(
        root,
        "usr/lib/python3/dist-packages/Foo_Bar-1.2.dist-info/METADATA",
        "Name: Foo_Bar\nVersion: 1.2\nLicense: MIT\n\nText",
    )
    put(root, "opt/venv/site-packages/old.egg-info/PKG-INFO", "Name: old\nVersion: 3\n")
    inventoried = found(root)
    assert inventoried.distribution == Distribution("debian", "12")
    assert [(one.kind, one.name, one.version) for one in inventoried.packages] == [
        ("apk", "busybox", "1.36"),
        ("apk", "musl", "1.2.4-r2"),
        ("deb", "base-files", "12.4"),
        ("deb", "curl", "7.88.1-10"),
        ("deb", "tzdata", "2024a"),
        ("pypi", "Foo_Bar", "1.2"),
        ("pypi", "old", "3"),
        ("rpm", "bash", "2:5.1-2.fc39"),
    ]
    assert inventoried.unread == ()
    urls = {one.name: package_url(one, inventoried.distribution) for one in inventoried.packages}
    assert urls["curl"] == "pkg:deb/debian/curl@7.88.1-10?arch=amd64&distro=debian-12&upstream=curl-source"
    assert urls["Foo_Bar"] == "pkg:pypi/foo-bar@1.2"
    assert (
        urls["bash"] == "pkg:rpm/debian/bash@5.1-2.fc39?arch=x86_64&distro=debian-12&epoch=2&upstream=bash-5.1.src.rpm"
    )
    document = bill(inventoried, IMAGE, "team/app", "2024-01-01T00:00:00Z", "1").document
    assert document["spdxVersion"] == "SPDX-2.3"
    assert len(document["packages"]) == 9
    assert len({one["SPDXID"] for one in document["packages"]}) == 9
    licences = {one["name"]: one["licenseDeclared"] for one in document["packages"]}
    assert (licences["musl"], licences["bash"], licences["curl"]) == ("MIT", "GPLv3+", "NOASSERTION")
    assert bill(found(root), IMAGE, "team/app", "2024-01-01T00:00:00Z", "1").document == document


def test_an_empty_tree(tmp_path: Path) -> None:
    assert found(tmp_path) == Inventory(Distribution(), ())
    assert bill(found(tmp_path), IMAGE, "x", "t", "1").document["relationships"] == [
        {"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": "SPDXRef-Image"}
    ]


@pytest.mark.parametrize(
    ("path", "content", "told"),
    [
        ("var/lib/rpm/rpmdb.sqlite", b"no database", "rpm: rpmdb.sqlite"),
        ("var/lib/rpm/Packages", b"", "older rpm"),
        ("var/lib/rpm/Packages.db", b"", "older rpm"),
    ],
)
def test_what_cannot_be_read_is_told(tmp_path: Path, path: str, content: bytes, told: str) -> None:
    put(tmp_path, path, content)
    put(tmp_path, "lib/apk/db/installed", APK)
    inventoried = found(tmp_path)
    assert told in inventoried.unread[0]
    assert len(inventoried.packages) == 2
    assert told in bill(inventoried, IMAGE, "x", "t", "1").document["comment"]


@pytest.mark.parametrize(
    "blob", [b"", b"\xff" * 100, struct.pack(">II", 1, 4) + struct.pack(">IIII", 1000, 6, 0, 1) + b"abcd"]
)
def test_a_malformed_header_of_rpm(tmp_path: Path, blob: bytes) -> None:
    root = tmp_path / "root"
    put(root, "var/lib/rpm/rpmdb.sqlite", rpmdb(tmp_path / "db", blob))
    assert "malformed" in found(root).unread[0] or "too many" in found(root).unread[0]


def test_many_entries_that_name_one_long_text_take_no_room(tmp_path: Path) -> None:
    entries = b"".join(struct.pack(">IIII", tag, 6, 0, 1) for tag in range(1000, 1000 + 4000))
    text = b"x" * 1_000_000 + b"\0"
    blob = struct.pack(">II", 4000, len(text)) + entries + text
    put(tmp_path / "root", "var/lib/rpm/rpmdb.sqlite", rpmdb(tmp_path / "db", blob))
    tracemalloc.start()
    try:
        assert "malformed" in found(tmp_path / "root").unread[0]
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()


def test_names_without_an_end_and_one_file_under_many_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "lib/apk/db/installed", b"P:" + b"x" * 300 + b"\nV:1\n")
    text = b"Name: a\nVersion: 1\nLicense: " + b"words " * 100 + b"\n\n"
    put(tmp_path, "a/site-packages/a-1.dist-info/METADATA", text)
    for number in range(5):
        (tmp_path / f"{number}/site-packages/a.dist-info").mkdir(parents=True)
        (tmp_path / f"{number}/site-packages/a.dist-info/METADATA").hardlink_to(
            tmp_path / "a/site-packages/a-1.dist-info/METADATA"
        )
    inventoried = found(tmp_path)
    assert ["more than 256 characters" in told for told in inventoried.unread] == [True]
    assert {(one.name, one.license) for one in inventoried.packages} == {("a", "")}
    assert len(inventoried.packages) == 6
    monkeypatch.setattr(packages, "_TOTAL", 3 * len(text))
    assert "together" in found(tmp_path).unread[-1]


def test_links_and_special_files_lead_nowhere(tmp_path: Path) -> None:
    put(tmp_path, "secret", DPKG)
    root = tmp_path / "root"
    (root / "var/lib/dpkg").mkdir(parents=True)
    (root / "var/lib/dpkg/status").symlink_to("../../../../../secret")
    (root / "lib/apk/db").mkdir(parents=True)
    os.mkfifo(root / "lib/apk/db/installed")
    put(root, "etc/os-release", "ID=x")
    (root / "usr").symlink_to("/usr")
    assert found(root) == Inventory(Distribution("x", ""), ())


def test_hostile_texts(tmp_path: Path) -> None:
    put(tmp_path, "lib/apk/db/installed", b"P:\xff\xfe\nV:1\nL:MIT OR (\n\nno colon here\nP:only-name\n")
    (one,) = found(tmp_path).packages
    assert one == Package("apk", "\ufffd\ufffd", "1", "", "MIT OR (", "", "lib/apk/db/installed")
