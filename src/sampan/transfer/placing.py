"""A tar unpacked into a tree that lives: beside what is there already, and with others at work in it."""

from __future__ import annotations

import os
import stat

from sampan.files import tar_reader as tar
from sampan.files.paths import clean, shown, split
from sampan.files.tar_reader import BadArchive
from sampan.snapshots.extract import Extraction


class _NoMarks:
    """No whiteouts: a name is a name."""

    fresh = False
    private = False

    def made(self, directory: int, name: bytes) -> None:
        """Nothing to remember."""

    def hide(self, directory: int, name: bytes) -> None:
        """Never called: names are not looked at."""

    def make_opaque(self, directory: int) -> None:
        """Never called."""

    def is_whiteout(self, status: os.stat_result) -> bool:  # noqa: ARG002 - the protocol's
        """There are none."""
        return False


class Placing(Extraction):
    """Unpacks below the directory `base` (relative to `root`). What an error leaves behind stays, as in Docker.

    Links on the way are followed inside the root; names that lead out of `base` lexically are refused. `owner` replaces the
    archive's user and group. `keep_kinds` refuses to put a directory in the place of something else, and the reverse; `called`
    is what the root is called when that is said.
    """

    __slots__ = ("_base", "_called", "_keep_kinds", "_owner")

    def __init__(
        self,
        root: int,
        base: bytes,
        limit: int,
        owner: tuple[int, int] | None,
        keep_kinds: bool,
        called: bytes = b"/",
    ) -> None:
        super().__init__(root, _NoMarks(), limit)
        self._called = called
        self._base = base
        self._owner = owner
        self._keep_kinds = keep_kinds

    def _apply(self, entry: tar.Entry, reader: tar.TarReader) -> None:
        name = clean(entry.name)
        if not name:
            if entry.kind != tar.DIRECTORY:
                raise BadArchive("an entry that is no directory has the name of the root")
            return  # the directory that is unpacked into stays as it is
        if self._owner is not None:
            entry.uid, entry.gid = self._owner
        if entry.kind == tar.HARD_LINK:
            entry.link = self._below(clean(entry.link))
        path = self._below(name)
        if self._keep_kinds:
            self._check_kind(entry, path)
        self._make(entry, reader, path)

    def _below(self, name: bytes) -> bytes:
        return self._base + b"/" + name if self._base else name

    def _check_kind(self, entry: tar.Entry, path: bytes) -> None:
        parent, name = split(path)
        try:
            there = os.stat(name, dir_fd=self._directory(parent), follow_symlinks=False)
        except FileNotFoundError:
            return
        was, comes = stat.S_ISDIR(there.st_mode), entry.kind == tar.DIRECTORY
        if was != comes:
            kinds = ("directory", "non-directory") if was else ("non-directory", "directory")
            place, inside = os.path.join(self._called, path), os.path.join(self._called, self._base)
            raise BadArchive(
                f"cannot overwrite {kinds[0]} {shown(place)} with {kinds[1]} {shown(inside.rstrip(b'/') or b'/')}"
            )
