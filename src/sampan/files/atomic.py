"""Files that are whole or not there: written beside, synced, renamed."""

import os
from pathlib import Path

from sampan.files.writing import write_all


def write_atomic(path: Path, data: bytes, mode: int = 0o600, durable: bool = True) -> None:
    """Put `data` at `path`, replacing what was there. A reader or a crash sees the old or the new file, never a part.

    `durable` also survives a power cut once this returns. The mode holds whatever the umask is. Raises OSError; the
    temporary file beside `path` is gone then.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(6).hex()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        try:
            os.fchmod(descriptor, mode)
            write_all(descriptor, data)
            if durable:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.rename(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if durable:
        sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make the names in the directory `path` durable (fsync(2) of a file does not reach its name)."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_directory(path: Path, mode: int = 0o700) -> Path:
    """The directory `path`, made where it is missing (its parent must exist), with exactly `mode`. Raises OSError."""
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        if path.is_symlink() or not path.is_dir():
            raise
    if path.stat().st_mode & 0o7777 != mode:
        path.chmod(mode)
    return path
