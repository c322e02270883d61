"""Where plugins are found by name: `NAME.sock`, `NAME.spec` and `NAME.json`, each also in a directory of its own name.

Source: Docker's "Plugin discovery". Sockets come before files, a directory before the next, `.spec` before `.json`.
"""

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import msgspec

from sampan.errors import InvalidParameter
from sampan.plugins.faults import PluginFailed
from sampan.spec.decoding import Reader
from sampan.spec.document import Document, wire

DOCKERS_SOCKETS = Path("/run/docker/plugins")
DOCKERS_SPECS = (Path("/etc/docker/plugins"), Path("/usr/lib/docker/plugins"))
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,254}", re.ASCII)
_FILE_LIMIT = 64 * 1024
_ENTRIES = 4096
"""Files that a listing looks at in one directory."""


class Tls(Document, frozen=True, rename=wire(ca_file="CAFile")):
    """`TLSConfig` of a .json file; paths on the host, "" for none."""

    insecure_skip_verify: bool = False
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a plugin listens: `socket` a path, or `host` and `port`; `tls` where it is spoken.

    `guarded`: the socket's directory is the plugin's own to write to, so that no link is followed there.
    """

    socket: str = ""
    host: str = ""
    port: int = 0
    tls: Tls | None = None
    root: str = ""
    """the plugin's own root directory on the host, in which paths that it tells are meant; "" for the host's"""
    home: str = ""
    """a directory among the engine's own that is the plugin's; "" for none"""
    guarded: bool = False
    implements: tuple[str, ...] | None = None
    """what a managed plugin's configuration says that it does: it is not asked, as in Docker; None where it is"""

    def __str__(self) -> str:
        return f"unix://{self.socket}" if self.socket else f"{'https' if self.tls else 'tcp'}://{self.host}:{self.port}"


class Source(Protocol):
    """Something that knows plugins by name. Both are called on the event loop and must not wait."""

    def find(self, name: str) -> Address | None:
        """Where the plugin of that name listens, None where there is none. Raises PluginFailed where what tells is broken."""
        ...

    def names(self, kind: str) -> tuple[str, ...]:
        """The plugins there are now, each once, but for those that are known to implement no `kind`."""
        ...

    def close(self) -> None:
        """The daemon ends."""
        ...


class _Spec(Document, frozen=True, rename=wire(tls_config="TLSConfig")):
    name: str = ""
    addr: str = ""
    tls_config: Tls | None = None


_SPEC = Reader(_Spec)


@dataclass(frozen=True, slots=True)
class Places:
    """Directories: `sockets` for .sock files, `specs` for .spec and .json files. Implements `Source`."""

    sockets: tuple[Path, ...]
    specs: tuple[Path, ...]

    @classmethod
    def of_docker(cls, own: Path) -> "Places":
        """A directory of the instance's own, then Docker's."""
        return cls((own, DOCKERS_SOCKETS), (own, *DOCKERS_SPECS))

    @classmethod
    def only(cls, directories: tuple[Path, ...]) -> "Places":
        """These, for every kind of file, and no others."""
        return cls(directories, directories)

    def find(self, name: str) -> Address | None:
        """See `Source`. A name that is no file's plain name is nobody's."""
        if not is_plain(name):
            return None
        for directory in self.sockets:
            for path in _paths(directory, name, ".sock"):
                if _is_socket(path):
                    return Address(socket=str(path))
        for directory in self.specs:
            for ending, read in ((".spec", _of_spec), (".json", _of_json)):
                for path in _paths(directory, name, ending):
                    if path.exists():
                        return read(name, path)
        return None

    def names(self, kind: str) -> tuple[str, ...]:  # noqa: ARG002 - what lies here says no kind
        """See `Source`."""
        found: dict[str, None] = {}
        for directory in self.sockets:
            for name in _named(directory, (".sock",)):
                if any(_is_socket(path) for path in _paths(directory, name, ".sock")):
                    found[name] = None
        for directory in self.specs:
            found.update(dict.fromkeys(_named(directory, (".spec", ".json"))))
        return tuple(found)

    def close(self) -> None:
        """See `Source`. These plugins are not the daemon's."""


def is_plain(name: str) -> bool:
    """Whether `name` can be a plugin's: letters, digits, dots, dashes and underscores, and no path."""
    return _NAME.fullmatch(name) is not None


def parse_address(text: str, tls: Tls | None = None) -> Address:
    """`unix://PATH`, `tcp://HOST:PORT`, `http://…` or `https://…`. As in Docker only https is TLS. Raises ValueError."""
    parts = urlsplit(text)
    if parts.scheme == "unix":
        if not parts.path.startswith("/") or parts.netloc or "\0" in parts.path:
            raise ValueError(f"{text!r} is not unix:// and an absolute path")
        return Address(socket=parts.path)
    if parts.scheme not in ("tcp", "http", "https"):
        raise ValueError("Unknown protocol")
    if not parts.hostname:
        raise ValueError(f"{text!r} names no host")
    secure = parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    return Address(host=parts.hostname, port=port, tls=(tls or Tls(insecure_skip_verify=True)) if secure else None)


def _paths(directory: Path, name: str, ending: str) -> tuple[Path, Path]:
    return directory / (name + ending), directory / name / (name + ending)


def _is_socket(path: Path) -> bool:
    try:
        return stat.S_ISSOCK(path.stat().st_mode)
    except OSError:
        return False


def _named(directory: Path, endings: tuple[str, ...]) -> Iterator[str]:
    """Names of files with one of these endings, in the directory or in one of their own. A directory may be missing."""
    try:
        with os.scandir(directory) as entries:
            listed = [entry.name for entry, _ in zip(entries, range(_ENTRIES), strict=False)]
    except OSError:
        return
    for entry in sorted(listed):
        stem, ending = os.path.splitext(entry)
        if ending in endings:
            name = stem
        elif any((directory / entry / (entry + ending)).exists() for ending in endings):
            name = entry
        else:
            continue
        if is_plain(name):
            yield name


def _of_spec(name: str, path: Path) -> Address:
    try:
        return parse_address(_read(path).decode().strip())
    except (OSError, ValueError) as error:
        raise PluginFailed(f"plugin {name}: {path}: {error}") from error


def _of_json(name: str, path: Path) -> Address:
    try:
        spec = _SPEC.read(_read(path))
        tls = spec.tls_config
        if tls is not None and not tls.ca_file:
            # As in Docker, whose command would otherwise have no way to say it.
            tls = msgspec.structs.replace(tls, insecure_skip_verify=True)
        return parse_address(spec.addr, tls)
    except (OSError, ValueError, InvalidParameter) as error:
        raise PluginFailed(f"plugin {name}: {path}: {error}") from error


def _read(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("not a regular file")
        data = os.read(descriptor, _FILE_LIMIT + 1)
    finally:
        os.close(descriptor)
    if len(data) > _FILE_LIMIT:
        raise ValueError(f"larger than {_FILE_LIMIT} bytes")
    return data
