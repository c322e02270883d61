"""What software lies in a tree, by the records that package managers leave: dpkg, apk, rpm, and Python's own.

Everything is read by descriptors below the tree's root, for the tree is a stranger's: links lead nowhere outside, what is no plain
file is passed over, sizes and counts are bounded. A record that cannot be read is left out and told.
"""

import os
import re
import stat
from collections.abc import Callable, Iterator
from email.parser import BytesHeaderParser
from email.policy import compat32

import msgspec
from msgspec.structs import replace

from sampan.files.root import SafeRoot
from sampan.files.walk import walk

_FILE_LIMIT = 64 << 20
_MOST = 100_000
_HEAD_LIMIT = 1 << 18
_TOTAL = 1 << 30
"""Bytes that are read in all: one file may have a hundred thousand names."""
_WORD_LIMIT = 256
"""Characters of a name or version, and of a licence that is an expression and not its text."""
_FILE = os.O_RDONLY | os.O_NONBLOCK
_PYTHON = re.compile(rb"(?:dist|site)-packages/[^/]+\.(?:dist-info/METADATA|egg-info/PKG-INFO|egg-info)")
_FIELD = re.compile(r"([A-Za-z0-9-]+):[ \t]*(.*)")


class Package(msgspec.Struct, frozen=True, order=True):
    """One. `kind`: deb, apk, rpm or pypi, as package URLs have it; `source` is what it was built from; `origin` the record."""

    kind: str
    name: str
    version: str
    architecture: str = ""
    license: str = ""
    source: str = ""
    origin: str = ""


class Distribution(msgspec.Struct, frozen=True):
    """`os-release` of the tree; empty where it has none."""

    id: str = ""
    version: str = ""


class Inventory(msgspec.Struct, frozen=True):
    """All that was found, sorted; `unread`: records that are there and could not be read, with the reason."""

    distribution: Distribution
    packages: tuple[Package, ...]
    unread: tuple[str, ...] = ()


def inventory(root: int) -> Inventory:
    """What lies below the descriptor `root`. Blocks: every directory is looked into for Python's records. Raises OSError."""
    with SafeRoot(root) as tree:
        return collected(Records(tree))


def collected(records: "Records") -> Inventory:
    """The same of records."""
    unread: list[str] = []
    found: set[Package] = set()
    distribution = _distribution(records.read("etc/os-release") or records.read("usr/lib/os-release"))
    for find in (_dpkg, _apk, _rpm, _python):
        _collect(find, records, found, unread)
    return Inventory(distribution, tuple(sorted(found)), tuple(unread))


def _collect(
    find: "Callable[[Records], Iterator[Package]]", records: "Records", found: set[Package], unread: list[str]
) -> None:
    kind = find.__name__.removeprefix("_")
    try:
        for number, package in enumerate(find(records)):
            if len(found) >= _MOST or number >= _MOST:
                unread.append(f"more than {_MOST} packages")
                return
            words = (package.name, package.version, package.architecture, package.source)
            if max(map(len, words)) > _WORD_LIMIT:
                raise ValueError(
                    f"a package in {package.origin} has a name or version of more than {_WORD_LIMIT} characters"
                )
            if package.name and package.version:
                found.add(package if len(package.license) <= _WORD_LIMIT else replace(package, license=""))
    except ValueError as error:
        unread.append(f"{kind}: {error}")


class Records:
    """The files of one tree, as far as they are read."""

    def __init__(self, tree: SafeRoot) -> None:
        self.tree = tree
        self._left = _TOTAL

    def read(self, path: str | bytes, limit: int = _FILE_LIMIT) -> bytes:
        """A plain file's bytes; b"" where there is none. Raises ValueError for one that is too large."""
        data = self.head(path, limit + 1)
        if len(data) > limit:
            raise ValueError(f"{os.fsdecode(path)} is larger than {limit} bytes")
        return data

    def head(self, path: str | bytes, size: int) -> bytes:
        """The same of its first `size` bytes. Raises ValueError where too much has been read of the tree."""
        try:
            descriptor = self.tree.open(path, _FILE)
        except OSError:
            return b""
        with open(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            # Room is made for all that is asked for before it is known how much there is.
            data = file.read(min(size, status.st_size)) if stat.S_ISREG(status.st_mode) else b""
        self._left -= len(data)
        if self._left < 0:
            raise ValueError(f"the records are larger than {_TOTAL} bytes together")
        return data

    def names(self, path: str) -> list[str]:
        """What lies in a directory; nothing where there is none."""
        try:
            descriptor = self.tree.open(path, os.O_RDONLY | os.O_DIRECTORY)
        except OSError:
            return []
        try:
            return sorted(os.listdir(descriptor))[:_MOST]
        finally:
            os.close(descriptor)


def _distribution(data: bytes) -> Distribution:
    values = dict(line.split("=", 1) for line in _text(data).splitlines() if "=" in line)
    return Distribution(values.get("ID", "").strip("\"'"), values.get("VERSION_ID", "").strip("\"'"))


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _dpkg(records: Records) -> Iterator[Package]:
    """`status`, and `status.d` of images without dpkg."""
    paths = ["var/lib/dpkg/status"]
    paths += [f"var/lib/dpkg/status.d/{name}" for name in records.names("var/lib/dpkg/status.d") if "." not in name]
    for record in paths:
        for fields in _stanzas(_text(records.read(record))):
            if "installed" not in fields.get("Status", "installed").split():
                continue
            source = fields.get("Source", "").partition(" ")[0]
            yield Package(
                "deb",
                fields.get("Package", ""),
                fields.get("Version", ""),
                fields.get("Architecture", ""),
                "",
                source,
                record,
            )


def _stanzas(text: str) -> Iterator[dict[str, str]]:
    """Blocks of `Field: value`, parted by empty lines; lines that go on are passed over."""
    fields: dict[str, str] = {}
    for line in text.splitlines():
        if not line.strip():
            if fields:
                yield fields
            fields = {}
        elif match := _FIELD.fullmatch(line):
            fields.setdefault(match[1], match[2].strip())
    if fields:
        yield fields


def _apk(records: Records) -> Iterator[Package]:
    for record in ("lib/apk/db/installed", "usr/lib/apk/db/installed"):
        for fields in _stanzas(_text(records.read(record))):
            name, version, architecture, licence, origin = (fields.get(key, "") for key in ("P", "V", "A", "L", "o"))
            yield Package("apk", name, version, architecture, licence, origin, record)


def _rpm(records: Records) -> Iterator[Package]:
    for directory in ("var/lib/rpm", "usr/lib/sysimage/rpm"):
        record = f"{directory}/rpmdb.sqlite"
        data = records.read(record, _FILE_LIMIT * 4)
        if data:
            from sampan.build.outputs.rpm import packages

            for name, version, architecture, licence, source in packages(data):
                yield Package("rpm", name, version, architecture, licence, source, record)
        elif any(name in records.names(directory) for name in ("Packages", "Packages.db")):
            raise ValueError(f"{directory} is a database of an older rpm (Berkeley DB or ndb), which is not read")


def _python(records: Records) -> Iterator[Package]:
    parser = BytesHeaderParser(policy=compat32)
    for path, _, _, status in walk(records.tree.fd):
        if not stat.S_ISREG(status.st_mode) or _PYTHON.search(path) is None:
            continue
        head = parser.parsebytes(records.head(path, _HEAD_LIMIT))
        name, version = (str(head.get(field, "")) for field in ("Name", "Version"))
        licence = str(head.get("License-Expression") or head.get("License") or "")
        yield Package("pypi", name, version, license=licence, origin=os.fsdecode(path))
