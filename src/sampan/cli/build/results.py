"""What a build leaves on this side: the image's id, its metadata, and outputs with a destination here."""

from __future__ import annotations

import os

from sampan.cli.failures import Exit
from sampan.client.documents import MalformedDocument, number_of, text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Protocol

    from sampan.cli.build.attributes import Typed
    from sampan.client.documents import Document

    class Sink(Protocol):
        """Takes the bytes of one output."""

        def take(self, data: bytes) -> None:
            """The next bytes. Exit 1 where they cannot be kept."""

        def close(self, whole: bool) -> None:
            """Nothing more comes; `whole`: all of it did."""


class Outputs:
    """The outputs that come to this side, by their place among those that were asked for."""

    def __init__(self, asked: list[Typed]) -> None:
        self._asked = asked
        self._open: dict[int, Sink] = {}
        self._done: set[int] = set()

    def take(self, event: Document) -> None:
        """A piece of one. MalformedDocument for one that was not asked for; Exit 1 where it cannot be written."""
        from binascii import Error, a2b_base64

        number = number_of(event, "output")
        if not 0 <= number < len(self._asked) or not self._asked[number].dest or number in self._done:
            raise MalformedDocument(f"output {number}, which was not asked for")
        try:
            data = a2b_base64(text_of(event, "data"), strict_mode=True)
        except (Error, ValueError) as error:
            raise MalformedDocument(f"an output that is no base64: {error}") from None
        if number not in self._open:
            self._open[number] = _sink(self._asked[number])
        self._open[number].take(data)
        if event.get("last") is True:
            self._done.add(number)
            self._open.pop(number).close(whole=True)

    def close(self) -> None:
        """Leave nothing open; what was begun and is not whole goes, where it is a file."""
        while self._open:
            self._open.popitem()[1].close(whole=False)

    @property
    def missing(self) -> list[str]:
        """The destinations that nothing came for."""
        return [one.dest for at, one in enumerate(self._asked) if one.dest and at not in self._done]


def check_destinations(asked: list[Typed]) -> None:
    """Exit 1 before anything is built, where a destination cannot be."""
    for one in asked:
        if one.dest == "-":
            if os.isatty(1):
                raise Exit(1, "ERROR: dest file is required for output: refusing to write to a terminal")
        elif one.type == "local":
            if os.path.lexists(one.dest) and not os.path.isdir(one.dest):
                raise Exit(1, f"ERROR: destination directory {one.dest} is not a directory")
        elif one.dest:
            if os.path.isdir(one.dest):
                raise Exit(1, f"ERROR: destination file {one.dest} is a directory")
            if not os.path.isdir(os.path.dirname(os.path.abspath(one.dest))):
                raise Exit(1, f"ERROR: open {one.dest}: no such file or directory")


def _sink(one: Typed) -> Sink:
    if one.type == "local":
        return _Tree(one.dest)
    return _Standard() if one.dest == "-" else _File(one.dest)


class _Standard:
    """The shell's file or pipe."""

    def take(self, data: bytes) -> None:
        from sampan.files.writing import write_all

        write_all(1, data)

    def close(self, whole: bool) -> None:
        pass


class _File:
    """Written beside its name, and named when it is whole."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._partial = f"{path}.{os.urandom(6).hex()}"
        try:
            self._descriptor = os.open(self._partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise Exit(1, f"ERROR: open {path}: {(error.strerror or '').lower()}") from error

    def take(self, data: bytes) -> None:
        from sampan.files.writing import write_all

        try:
            write_all(self._descriptor, data)
        except OSError as error:
            raise Exit(1, f"ERROR: write {self._path}: {(error.strerror or '').lower()}") from error

    def close(self, whole: bool) -> None:
        os.close(self._descriptor)
        if whole:
            os.rename(self._partial, self._path)
        else:
            os.unlink(self._partial)


class _Tree:
    """A tar that is unpacked while it comes, in a thread: the reader of tars asks for bytes, the answer brings them."""

    def __init__(self, directory: str) -> None:
        import queue
        import threading

        os.makedirs(directory, exist_ok=True)
        self._pieces: queue.Queue[bytes] = queue.Queue(8)
        self._failure: BaseException | None = None
        self._ended = False
        self._thread = threading.Thread(target=self._unpack, args=(directory,), daemon=True)
        self._thread.start()

    def take(self, data: bytes) -> None:
        if data:
            self._pieces.put(data)
        if self._failure is not None:
            raise self._failure

    def close(self, whole: bool) -> None:
        self._pieces.put(b"")
        self._thread.join()
        if whole and self._failure is not None:
            raise self._failure

    def _unpack(self, directory: str) -> None:
        from sampan.cli.copy.unpacking import unpack

        try:
            unpack(self._coming(), directory, "", "")
        except BaseException as error:  # noqa: BLE001 - told to the thread that brings the bytes
            self._failure = error
        for _ in self._coming():
            pass  # whoever brings the bytes must not wait for ever

    def _coming(self) -> Iterator[bytes]:
        while not self._ended:
            piece = self._pieces.get()
            if not piece:
                self._ended = True
                return
            yield piece


def write_id(path: str, identifier: str) -> None:
    """`--iidfile`. Exit 1 where it cannot be written."""
    _write(path, identifier.encode())


def write_metadata(path: str, metadata: Document) -> None:
    """`--metadata-file`: indented JSON, as buildx writes it. Exit 1 where it cannot be written."""
    import json

    _write(path, json.dumps(metadata, indent=2, ensure_ascii=False, sort_keys=True).encode("utf-8", "surrogateescape"))


def _write(path: str, data: bytes) -> None:
    from pathlib import Path

    from sampan.files.atomic import write_atomic

    try:
        write_atomic(Path(path), data, 0o644, durable=False)
    except OSError as error:
        raise Exit(1, f"ERROR: open {path}: {(error.strerror or '').lower()}") from error
