"""inotify(7) as the engine uses it: a descriptor becomes readable when something happens in a directory."""

import os
import select
from pathlib import Path

import pytest

from sampan.kernel.inotify import Inotify, inotify_add_watch, inotify_init1


def test_changes_below_a_directory_are_told(tmp_path: Path) -> None:
    descriptor = inotify_init1()
    try:
        inotify_add_watch(descriptor, os.fsencode(tmp_path), Inotify.CREATE | Inotify.MODIFY | Inotify.MOVE_SELF)
        for change in (
            (tmp_path / "a").touch,
            lambda: (tmp_path / "a").write_text("x"),
            lambda: tmp_path.rename(tmp_path.with_name("elsewhere")),
        ):
            assert not select.select([descriptor], [], [], 0)[0]
            change()
            assert select.select([descriptor], [], [], 10)[0]
            assert os.read(descriptor, 4096)
    finally:
        os.close(descriptor)


def test_what_is_no_directory_is_refused_by_name(tmp_path: Path) -> None:
    descriptor = inotify_init1()
    try:
        with pytest.raises(FileNotFoundError, match=r"inotify_add_watch.*nosuch"):
            inotify_add_watch(descriptor, os.fsencode(tmp_path / "nosuch"), Inotify.CREATE)
        (tmp_path / "file").touch()
        with pytest.raises(NotADirectoryError):
            inotify_add_watch(descriptor, os.fsencode(tmp_path / "file"), Inotify.CREATE | Inotify.ONLYDIR)
    finally:
        os.close(descriptor)
