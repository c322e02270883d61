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

from sampan.files.root import SafeRoot
from sampan.files.walk import walk

_FILE_LIMIT = 64 << 20
_MOST = 100_000
_HEAD_LIMIT = 1 << 20
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
    unread: list[str] = []
    found: set[Package] = set()
    with SafeRoot(root) as tree:
        distribution = _distribution(_read(tree, "etc/os-release") or _read(tree, "usr/lib/os-release"))
        for find in (_dpkg, _apk, _rpm, _python):
            _collect(find, tree, found, unread)
    return Inventory(distribution, tuple(sorted(found)), tuple(unread))


def _collect(
    find: Callable[[SafeRoot], Iterator[Package]], tree: SafeRoot, found: set[Package], unread: list[str]
) -> None:
    try:
        for package in find(tree):
            if len(found) >= _MOST:
                unread.append(f"more than {_MOST} packages")
                return
            if package.name and package.version:
                found.add(package)
    except ValueError as error:
        unread.append(f"{find.__name__.removeprefix('_')}: {error}")


def _read(tree: SafeRoot, path: str | bytes, limit: int = _FILE_LIMIT) -> bytes:
    """A plain file's bytes; b"" where there is none. Raises ValueError for one that is too large."""
    try:
        descriptor = tree.open(path, _FILE)
    except OSError:
        return b""
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return b""
        data = file.read(limit + 1)
    if len(data) > limit:
        raise ValueError(f"{os.fsdecode(path)} is larger than {limit} bytes")
    return data


def _names(tree: SafeRoot, path: str) -> list[str]:
    try:
        descriptor = tree.open(path, os.O_RDONLY | os.O_DIRECTORY)
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


def _dpkg(tree: SafeRoot) -> Iterator[Package]:
    """`status`, and `status.d` of images without dpkg."""
    records = ["var/lib/dpkg/status"]
    records += [f"var/lib/dpkg/status.d/{name}" for name in _names(tree, "var/lib/dpkg/status.d") if "." not in name]
    for record in records:
        for fields in _stanzas(_text(_read(tree, record))):
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


def _apk(tree: SafeRoot) -> Iterator[Package]:
    for record in ("lib/apk/db/installed", "usr/lib/apk/db/installed"):
        for fields in _stanzas(_text(_read(tree, record))):
            name, version, architecture, licence, origin = (fields.get(key, "") for key in ("P", "V", "A", "L", "o"))
            yield Package("apk", name, version, architecture, licence, origin, record)


def _rpm(tree: SafeRoot) -> Iterator[Package]:
    for directory in ("var/lib/rpm", "usr/lib/sysimage/rpm"):
        record = f"{directory}/rpmdb.sqlite"
        data = _read(tree, record, _FILE_LIMIT * 4)
        if data:
            from sampan.build.outputs.rpm import packages

            for name, version, architecture, licence, source in packages(data):
                yield Package("rpm", name, version, architecture, licence, source, record)
        elif any(name in _names(tree, directory) for name in ("Packages", "Packages.db")):
            raise ValueError(f"{directory} is a database of an older rpm (Berkeley DB or ndb), which is not read")


def _python(tree: SafeRoot) -> Iterator[Package]:
    parser = BytesHeaderParser(policy=compat32)
    for path, _, _, status in walk(tree.fd):
        if not stat.S_ISREG(status.st_mode) or _PYTHON.search(path) is None:
            continue
        head = parser.parsebytes(_read(tree, path, _FILE_LIMIT)[:_HEAD_LIMIT])
        name, version = (str(head.get(field, "")) for field in ("Name", "Version"))
        licence = str(head.get("License-Expression") or head.get("License") or "")
        yield Package("pypi", name, version, license=licence, origin=os.fsdecode(path))
