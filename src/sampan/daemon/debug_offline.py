"""`system debug` while no daemon answers: the host, the settings, the store as it lies there, the stacks of a daemon that hangs."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from sampan.daemon import config, debug_report, flags, offline, presence, stacks
from sampan.daemon.config import DaemonConfig
from sampan.daemon.debug_report import Report
from sampan.errors import System, Unauthorized

_STACKS_SECONDS = 3.0


def report(arguments: list[str], log: str, holder: str) -> bytes:
    """The archive. `arguments` are those of `sampand`, `log` is where its log goes, `holder` the pid that locks the data root.

    For root. Raises InvalidParameter for arguments and files, Unauthorized.
    """
    settings = config.load(flags.parse(arguments))
    if os.geteuid():
        raise Unauthorized(f"only root can look at {settings.data_root}")
    found = Report(f"pid {holder} does not answer" if holder else "does not run")
    debug_report.of_host(found, settings, presence.instance_of(settings.data_root))
    found.add("log.txt", lambda: debug_report.log_of(log))
    if holder:
        found.add("stacks.txt", lambda: _stacks(settings, int(holder)))
        found.lack("check.json", "the daemon has the store")
    else:
        found.add("check.json", lambda: [step for step in offline.check(arguments, False) if step.progress is None])
    found.add("state/files.json", lambda: list(_files(settings)))
    return found.archive()


def _stacks(settings: DaemonConfig, pid: int) -> str:
    """What the daemon writes of itself at SIGUSR1. Raises System where it does not, OSError where there is none."""
    path = settings.exec_root / stacks.FILE
    # A daemon of an earlier release, which the signal would end, has no such file.
    before = path.stat().st_size
    opened = os.pidfd_open(pid)
    try:
        signal.pidfd_send_signal(opened, signal.SIGUSR1)
    finally:
        os.close(opened)
    end = time.monotonic() + _STACKS_SECONDS
    while path.stat().st_size == before:
        if time.monotonic() > end:
            raise System(f"pid {pid} wrote nothing to {path}")
        time.sleep(0.05)
    return path.read_text(errors="replace")[-(1 << 20) :]


def _files(settings: DaemonConfig) -> Iterator[dict[str, object]]:
    """What lies directly in data root and exec-root: sizes tell whether the database grew, what is there who ran."""
    for root in (settings.data_root, settings.exec_root):
        for path in sorted(Path(root).iterdir()):
            status = path.lstat()
            entries = len(os.listdir(path)) if path.is_dir() and not path.is_symlink() else 0
            yield {"path": str(path), "mode": oct(status.st_mode), "size": status.st_size, "entries": entries}
