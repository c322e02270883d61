"""The suite of snapshot drivers. As root it looks at owners and extended attributes, too."""

import os
import shutil
import stat
from pathlib import Path
from typing import ClassVar

from sampan.drivers.snapshot import KIND
from sampan.testing.suite import Suite


class SnapshotDriverSuite(Suite):
    """What Sampan relies on in a snapshot driver. `place` is a directory of a file system that it works on."""

    kind: ClassVar[str] = KIND

    def place(self) -> Path:
        """An empty directory for the test's trees."""
        made = self.directory / "trees"
        made.mkdir(exist_ok=True)
        return made

    def tree(self) -> Path:
        """A directory with one of everything."""
        source = self.place() / "source"
        (source / "directory" / "deeper").mkdir(parents=True)
        (source / "directory" / "file").write_bytes(b"content" * 1000)
        (source / "empty").touch()
        (source / "link").symlink_to("directory/file")
        (source / "hard").hardlink_to(source / "directory" / "file")
        (source / "directory" / "deeper").chmod(0o2750)
        (source / "empty").chmod(0o4711)
        os.mkfifo(source / "fifo", 0o640)
        with (source / "sparse").open("wb") as file:
            file.truncate(1 << 26)
        if os.geteuid() == 0:
            os.chown(source / "empty", 1234, 5678)
            (source / "empty").chmod(0o4711)
            os.setxattr(source / "directory", "trusted.mark", b"here")
        os.utime(source / "directory" / "file", ns=(1_000_000_007, 1_000_000_009))
        os.utime(source / "directory", ns=(2_000_000_007, 2_000_000_009))
        return source

    def test_a_copy_is_the_same(self) -> None:
        """Kinds, modes, owners, times, contents, links, attributes; holes stay holes."""
        source, target = self.tree(), self.place() / "target"
        self.ask("Clone", Source=str(source), Target=str(target))
        assert _told(target) == _told(source)
        assert (target / "sparse").stat().st_blocks < 1024
        assert (target / "hard").stat().st_ino == (target / "directory" / "file").stat().st_ino

    def test_neither_changes_with_the_other(self) -> None:
        """Writing, adding and removing in one leaves the other as it is."""
        source, target = self.tree(), self.place() / "target"
        self.ask("Clone", Source=str(source), Target=str(target))
        before = _told(source)
        (target / "directory" / "file").write_bytes(b"other")
        (target / "new").touch()
        (target / "link").unlink()
        assert _told(source) == before
        (source / "empty").write_bytes(b"written later")
        assert (target / "empty").read_bytes() == b""

    def test_a_copy_of_a_copy(self) -> None:
        """Ten in a row: layers stand on layers. What is below may be removed first."""
        latest = self.tree()
        for number in range(10):
            target = self.place() / f"layer-{number}"
            self.ask("Clone", Source=str(latest), Target=str(target))
            (target / f"file-{number}").write_text(str(number))
            shutil.rmtree(latest)  # noqa: TID251 - nobody else knows its name
            latest = target
        assert [(latest / f"file-{number}").read_text() for number in range(10)] == [
            str(number) for number in range(10)
        ]

    def test_it_can_be_renamed_and_deleted(self) -> None:
        """The daemon gives a layer its name when it is whole, and moves what is to go, which it deletes itself."""
        target, moved = self.place() / "target", self.place() / "moved"
        self.ask("Clone", Source=str(self.tree()), Target=str(target))
        target.rename(moved)
        shutil.rmtree(moved)  # noqa: TID251 - as above
        assert not moved.exists()

    def test_a_refusal_leaves_nothing(self) -> None:
        """Where there is no source, and where the target is there already."""
        target = self.place() / "target"
        self.refused("Clone", Source=str(self.place() / "missing"), Target=str(target))
        assert not target.exists()
        source = self.tree()
        target.mkdir()
        (target / "precious").touch()
        self.refused("Clone", Source=str(source), Target=str(target))
        assert [entry.name for entry in target.iterdir()] == ["precious"]


def _told(root: Path) -> dict[str, tuple[object, ...]]:
    """All that a copy has to keep, by path."""
    found: dict[str, tuple[object, ...]] = {}
    for directory, names, files in os.walk(root):
        for name in (*names, *files):
            path = Path(directory, name)
            info = path.lstat()
            content: object = None
            if stat.S_ISLNK(info.st_mode):
                content = path.readlink()
            elif stat.S_ISREG(info.st_mode):
                content = path.read_bytes() if info.st_size < 1 << 20 else info.st_size
            attributes = {
                key: os.getxattr(path, key, follow_symlinks=False) for key in os.listxattr(path, follow_symlinks=False)
            }
            found[str(path.relative_to(root))] = (
                info.st_mode,
                info.st_uid,
                info.st_gid,
                info.st_mtime_ns,
                content,
                tuple(sorted(attributes.items())),
            )
    return found
