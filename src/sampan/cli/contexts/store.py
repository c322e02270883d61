"""The files of docker contexts, below the client's configuration directory: read, written whole, removed, selected.

Source: `docker context --help`, and the files as the docker command writes them: `contexts/meta/<sha256 of the name>/meta.json`,
TLS material in `contexts/tls/<the same>/<endpoint>/`, and `currentContext` in config.json.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

from sampan.cli.config import DEFAULT_CONTEXT, context_directory, default_address
from sampan.cli.credentials.config_file import read_for_change
from sampan.cli.failures import Exit
from sampan.client import documents
from sampan.client.documents import text_of
from sampan.files.atomic import write_atomic
from sampan.files.remove import remove_tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.cli.session import Session
    from sampan.client.documents import Document

    Material = dict[str, dict[str, bytes]]

DESCRIPTION_OF_DEFAULT = "Current DOCKER_HOST based configuration"
MAX_FILE = 10 << 20
"""Bytes that are read of one file of a context, as of a whole archive."""
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.+-]+")
MATERIAL = ("ca.pem", "cert.pem", "key.pem")


def check_name(name: str) -> str:
    """`name`, if a context of one's own may be called so; Exit otherwise."""
    if not name:
        raise Exit(1, "context name cannot be empty")
    if name == DEFAULT_CONTEXT:
        raise Exit(1, f'"{DEFAULT_CONTEXT}" is a reserved context name')
    if not _NAME.fullmatch(name):
        raise Exit(1, f'context name "{name}" is invalid, names are validated against regexp "^{_NAME.pattern}$"')
    return name


class Context:
    """One of them: what meta.json holds, and TLS material by endpoint and file."""

    __slots__ = ("material", "meta")

    def __init__(self, meta: Document, material: Material) -> None:
        self.meta = meta
        self.material = material

    @property
    def name(self) -> str:
        """What it is called."""
        return text_of(self.meta, "Name")


class Contexts:
    """Those in the directory that the session's configuration is in. What is written is durable when a call returns."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._directory = session.given.config_dir

    def names(self) -> list[str]:
        """Of all that are stored, in no order; `default` is not. Exit for a file that cannot be read."""
        try:
            found = os.listdir(os.path.join(self._directory, "contexts", "meta"))
        except FileNotFoundError:
            return []
        paths = [os.path.join(self._directory, "contexts", "meta", one, "meta.json") for one in found]
        return [text_of(_document(path), "Name") for path in paths if os.path.exists(path)]

    def exists(self, name: str) -> bool:
        """Whether one of this name is stored; of `default` none is."""
        return os.path.exists(self._meta(name))

    def places(self, name: str) -> tuple[str, str]:
        """The directories of what is known of it and of its TLS material."""
        if name == DEFAULT_CONTEXT:
            return "<IN MEMORY>", "<IN MEMORY>"
        return context_directory(self._directory, "meta", name), context_directory(self._directory, "tls", name)

    def load(self, name: str) -> Context:
        """The context called `name`; the default one as the environment has it. Exit where there is none."""
        if name == DEFAULT_CONTEXT:
            return self._default()
        path = self._meta(name)
        if not os.path.exists(path):
            raise Exit(1, f'context "{name}": context not found: open {path}: no such file or directory')
        return Context(_document(path), _material(self.places(name)[1]))

    def _default(self) -> Context:
        given = self._session.given
        address = default_address(given)
        endpoint: Document = {"Host": address.text, "SkipTLSVerify": False}
        material: Material = {}
        if address.tls is not None:
            endpoint["SkipTLSVerify"] = not address.tls.verify
            paths = dict(zip(MATERIAL, (given.ca, given.cert, given.key), strict=True))
            material["docker"] = {name: read_file(path) for name, path in paths.items() if os.path.exists(path)}
        return Context({"Name": DEFAULT_CONTEXT, "Metadata": {}, "Endpoints": {"docker": endpoint}}, material)

    def save(self, context: Context) -> None:
        """Put it where its name leads to. The material first: a reader never finds an endpoint without its own."""
        meta, tls = self.places(context.name)
        _remove(tls)
        for endpoint, files in context.material.items():
            _make_private(os.path.join(tls, endpoint), 3)
            for name, data in files.items():
                write_atomic(Path(tls, endpoint, name), data)
        os.makedirs(meta, mode=0o755, exist_ok=True)
        replace(os.path.join(meta, "meta.json"), documents.write(context.meta), 0o644)

    def remove(self, name: str) -> bool:
        """Take it away, and its selection; whether there was one."""
        existed = self.exists(name)
        for place in self.places(name):
            _remove(place)
        if text_of(read_for_change(self._directory), "currentContext") == name:
            self.select("")
        return existed

    def select(self, name: str) -> None:
        """Set currentContext and keep everything else as it was; "" goes back to the default."""
        path = os.path.join(self._directory, "config.json")
        config = read_for_change(self._directory)
        changed = {key: value for key, value in config.items() if key != "currentContext"}
        if name and name != DEFAULT_CONTEXT:
            changed["currentContext"] = name
        if changed:
            replace(path, tabbed(changed), 0o600)
        elif config:
            os.unlink(path)  # there was nothing else in it

    def _meta(self, name: str) -> str:
        return os.path.join(context_directory(self._directory, "meta", name), "meta.json")


def read_file(path: str) -> bytes:
    """All of a small file. Exit for one that cannot be read, or is longer than MAX_FILE."""
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_FILE + 1)
    except OSError as error:
        raise Exit(1, f"open {path}: {(error.strerror or '').lower()}") from error
    if len(data) > MAX_FILE:
        raise Exit(1, f"{path} is longer than {MAX_FILE} bytes")
    return data


def _document(path: str) -> Document:
    try:
        return documents.document(read_file(path))
    except documents.MalformedDocument as error:
        raise Exit(1, f"{path}: {error}") from error


def _material(directory: str) -> Material:
    try:
        endpoints = os.listdir(directory)
    except FileNotFoundError:
        return {}
    return {
        endpoint: {name: read_file(os.path.join(directory, endpoint, name)) for name in os.listdir(place)}
        for endpoint in sorted(endpoints)
        if os.path.isdir(place := os.path.join(directory, endpoint))
    }


def _make_private(directory: str, levels: int) -> None:
    """It and what it stands in, as many levels as are the user's alone where they were missing."""
    if levels > 1:
        _make_private(os.path.dirname(directory), levels - 1)
    os.makedirs(directory, mode=0o700, exist_ok=True)


def _remove(directory: str) -> None:
    parent, name = os.path.split(directory)
    with suppress(FileNotFoundError):
        descriptor = os.open(parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            remove_tree(descriptor, os.fsencode(name))
        finally:
            os.close(descriptor)


def replace(path: str, text: str, mode: int) -> None:
    """Write a file whole, through a symbolic link to what it names, keeping an old file's mode; its directory is made."""
    path = os.path.realpath(path)
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    if os.path.exists(path):
        mode = os.stat(path).st_mode & 0o777
    write_atomic(Path(path), text.encode("utf-8", "surrogateescape"), mode)


def tabbed(value: Document) -> str:
    """As the docker command writes its configuration."""
    from sampan.cli.output.go_json import indent

    return indent(documents.write(value), step="\t")
