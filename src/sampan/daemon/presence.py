"""One daemon for each data root and exec root: locks and the pid file."""

import errno
import fcntl
import hashlib
import os
import time
from pathlib import Path

from sampan.errors import System, host_words
from sampan.spec.ids import InstanceId

_FORKED_SECONDS = 5.0
_PAUSE = 0.01


class Held:
    """A lock that lasts as long as this process, or until `release`. Children do not inherit it."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def release(self) -> None:
        """Let go."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def prepare(directory: Path, what: str, mode: int) -> Held:
    """Make `directory` and lock it. Raises System where another daemon holds it or it cannot be made."""
    try:
        directory.mkdir(mode=mode, parents=True, exist_ok=True)
        os.chmod(directory, mode)
        descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise System(f"{what} {directory}: {host_words(error)}") from error
    try:
        _lock(descriptor)
    except OSError as error:
        holder = _holder(descriptor)
        os.close(descriptor)
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            raise System(f"{what} {directory} is in use by another daemon (pid {holder})") from error
        raise System(f"{what} {directory}: {host_words(error)}") from error
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return Held(descriptor)


def _lock(descriptor: int) -> None:
    """Take the lock. Raises OSError; EWOULDBLOCK where somebody who lives has it.

    A child that a killed daemon had just forked holds it until its exec closes descriptors: that moment is waited for.
    """
    end = time.monotonic() + _FORKED_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if os.path.exists(f"/proc/{_holder(descriptor)}") or time.monotonic() > end:
                raise
        time.sleep(_PAUSE)


def _holder(descriptor: int) -> str:
    return os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"


def instance_of(data_root: Path) -> InstanceId:
    """What labels everything that the daemon of this data root makes on the host."""
    return InstanceId(hashlib.sha256(os.fsencode(data_root.resolve())).hexdigest()[:12])


def write_pidfile(path: Path) -> None:
    """Leave our pid in `path`. Raises System in dockerd's words where the process it names is alive."""
    try:
        text = path.read_text()
    except FileNotFoundError:
        text = ""
    except (OSError, UnicodeDecodeError) as error:
        raise System(f"failed to start daemon: {path}: {error}") from error
    other = int(text) if text.strip().isdecimal() else 0
    if other and other != os.getpid() and _alive(other):
        raise System(
            f"failed to start daemon, ensure docker is not running or delete {path}: process with PID {other} is still running"
        )
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        temporary.write_text(str(os.getpid()))
        temporary.replace(path)
    except OSError as error:
        raise System(f"failed to start daemon: {path}: {host_words(error)}") from error


def remove_pidfile(path: Path) -> None:
    """Remove the pid file if it is still ours."""
    try:
        if path.read_text().strip() == str(os.getpid()):
            path.unlink()
    except OSError:
        # Gone, or its file system is: either way there is nothing left that names this process.
        return


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
