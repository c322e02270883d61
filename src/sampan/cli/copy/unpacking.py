"""A tar from a container into local files. The container may be hostile: whatever it says, nothing leaves the directory."""

from __future__ import annotations

import os

from sampan.cli.failures import Exit
from sampan.errors import InvalidParameter
from sampan.files.tar_reader import HARD_LINK, TarReader
from sampan.transfer.placing import Placing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from sampan.files.tar_reader import Entry

_LIMIT = 1 << 50
_KEEP_MINE = (-1, -1)
"""chown(2): what is unpacked belongs to who unpacks it, as with docker."""


def unpack(pieces: Iterable[bytes], directory: str, old: str, new: str) -> None:
    """Unpack into `directory`; the source, which the archive calls `old`, gets the name `new` ("" keeps its own).

    Exit 1 for a broken archive and for what cannot be written.
    """
    root = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _Renaming(root, os.fsencode(directory), os.fsencode(old), os.fsencode(new)).run(TarReader(_Stream(pieces).read))
    except InvalidParameter as error:
        raise Exit(1, str(error)) from error
    except OSError as error:
        raise Exit(1, f"{directory}: {(error.strerror or str(error)).lower()}") from error
    finally:
        os.close(root)


class _Renaming(Placing):
    __slots__ = ("_new", "_old")

    def __init__(self, root: int, called: bytes, old: bytes, new: bytes) -> None:
        super().__init__(root, b"", _LIMIT, _KEEP_MINE, True, called)
        self._old = old
        self._new = new

    def _apply(self, entry: Entry, reader: TarReader) -> None:
        entry.name = self._renamed(entry.name)
        if entry.kind == HARD_LINK:
            entry.link = self._renamed(entry.link)
        super()._apply(entry, reader)

    def _renamed(self, name: bytes) -> bytes:
        if not self._new:
            return name
        if self._old == b"/":
            return self._new + b"/" + name.lstrip(b"/")
        if name.rstrip(b"/") == self._old or name.startswith(self._old + b"/"):
            return self._new + name[len(self._old) :]
        return name


class _Stream:
    """Exactly as many bytes as are asked for, fewer only at the end."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._held = b""
        self._at = 0

    def read(self, wanted: int) -> bytes:
        end = self._at + wanted
        if end <= len(self._held):
            data = self._held[self._at : end]
            self._at = end
            return data
        parts = [self._held[self._at :]]
        missing = wanted - len(parts[0])
        self._held, self._at = b"", 0
        while missing > 0:
            piece = next(self._pieces, b"")
            if not piece:
                break
            parts.append(piece[:missing])
            if len(piece) > missing:
                self._held, self._at = piece, missing
            missing -= len(piece)
        return b"".join(parts)
