"""Engines on a small file system of their own, that can be filled, or made read-only as the kernel does after a fault."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests import leaks
from tests.daemons import Sampan
from tests.waiting import eventually

_FILLER = "filler"
_CHUNK = bytes(1 << 20)
SIZE = 48 << 20
BTRFS_SIZE = 4 << 30
"""The least that mkfs.btrfs takes is 109 MiB; what is deleted there is free a while later."""


@dataclass(frozen=True)
class Disk:
    """A mounted file system. `device` is its loop device's name, "" for tmpfs."""

    place: Path
    device: str

    def free(self) -> int:
        status = os.statvfs(self.place)
        return status.f_bavail * status.f_frsize

    def fill(self, spare: int = 0) -> None:
        """Leave at most `spare` bytes free."""
        with (self.place / _FILLER).open("ab", buffering=0) as file:
            try:
                while (room := self.free() - spare) > 0:
                    file.write(_CHUNK[:room])
                os.fsync(file.fileno())
            except OSError:
                return  # a little more than what is free can be asked for: full is full

    def empty(self) -> None:
        """Give back what `fill` took."""
        (self.place / _FILLER).unlink(missing_ok=True)

    def break_down(self) -> None:
        """A fault is found by the kernel, which lets nobody write any more (ext4(5), `errors=remount-ro`)."""
        Path(f"/sys/fs/ext4/{self.device}/trigger_fs_error").write_text("by tests")

    def again(self) -> "Disk":
        """Mounted anew, as by a boot: its journal is replayed."""
        _take_out(self.place)
        return _mount(self.place)

    def mend(self) -> "Disk":
        """What a person does then: nobody uses it any more, it is checked, and mounted again."""
        _take_out(self.place)
        # 1: errors were corrected (e2fsck(8)).
        done = subprocess.run(["e2fsck", "-fy", _image(self.place)], check=False, capture_output=True)
        assert done.returncode in (0, 1), done
        return _mount(self.place)


@contextmanager
def mounted(place: Path, kind: str, size: int = SIZE) -> Iterator[Disk]:
    """A fresh file system at `place`, which is made: `ext4` or `btrfs` on a loop device, or `tmpfs`."""
    place.mkdir(parents=True)
    if kind == "ext4":
        with _image(place).open("wb") as file:
            file.truncate(size)
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", "-e", "remount-ro", _image(place)], check=True)
        disk = _mount(place)
    elif kind == "btrfs":
        with _image(place).open("wb") as file:
            file.truncate(size)
        subprocess.run(["mkfs.btrfs", "-q", _image(place)], check=True)
        disk = _mount(place)
    else:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", place], check=True)
        disk = Disk(place, "")
    try:
        yield disk
    finally:
        _unmount(place)


def _image(place: Path) -> Path:
    return place.with_name(f"{place.name}.image")


def _mount(place: Path) -> Disk:
    subprocess.run(["mount", "-o", "loop", _image(place), place], check=True)
    found = subprocess.run(["findmnt", "-no", "SOURCE", place], check=True, capture_output=True, text=True)
    return Disk(place, Path(found.stdout.strip()).name)


def _take_out(place: Path) -> None:
    """Unmount it, and go on with a copy: whoever of this machine has copied its mounts keeps the broken one alive."""
    _unmount(place)
    copy = place.with_name(f"{place.name}.copy")
    subprocess.run(["cp", "--sparse=always", _image(place), copy], check=True)
    copy.rename(_image(place))


def _unmount(place: Path) -> None:
    """Whoever ends still holds it for a moment."""

    def gone() -> bool:
        return subprocess.run(["umount", place], check=False, capture_output=True).returncode == 0

    eventually(gone, f"{place} is busy")


@contextmanager
def sampan_on(kind: str, *flags: str, exec_root: bool = False, size: int = SIZE) -> Iterator[tuple[Sampan, Disk]]:
    """A Sampan, started with `flags`, with busybox, and the disk that its data root is, or its exec-root.

    Nothing of it may be left.
    """
    sampan = Sampan()
    # Not by the directory's name: whoever of this machine copies its mounts meanwhile has this one, too.
    before = leaks.marked(sampan.instance)
    with mounted(sampan.exec_root if exec_root else sampan.data_root, kind, size) as disk:
        try:
            sampan.start(*flags)
            sampan.load_busybox()
            yield sampan, disk
        finally:
            disk.empty()
            try:
                if sampan.process is not None:
                    sampan.remove_containers()
                    eventually(sampan.has_no_trash)
                    sampan.stop()
            finally:
                left = leaks.settled(lambda: leaks.marked(sampan.instance), before)
                left += [str(path) for kind in ("containers", "rw") for path in (sampan.data_root / kind).iterdir()]
                leaks.clear(sampan.instance)
    sampan.remove()
    assert left == [], "\n".join([f"left behind by the engine of {sampan.directory}:", *left])
