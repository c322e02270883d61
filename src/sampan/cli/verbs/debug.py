"""`system debug`: a report for whoever looks for a fault, made by the daemon or, where none answers, by this command."""

from __future__ import annotations

import os
import time

from sampan.cli.daemon_start import LOG_FILE, data_root, lock_holder
from sampan.cli.failures import Exit
from sampan.cli.options import Command, Option
from sampan.client.failures import DaemonUnreachable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.cli.options import Parsed
    from sampan.cli.session import Session

_PATIENCE = 3.0
_ROOTS = ("data-root", "exec-root", "config-file")


def _debug(session: Session, parsed: Parsed) -> int:
    content = b"" if parsed.flag("offline") else _by_daemon(session, parsed)
    if not content:
        content = _without_daemon(parsed)
    path = parsed.text("output") or time.strftime("sampan-debug-%Y%m%dT%H%M%SZ.tar.gz", time.gmtime())
    if path == "-":
        with os.fdopen(1, "wb", closefd=False) as out:
            out.write(content)
        return 0
    # Secrets are left out; what is told of the machine is still for its owner to pass on.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    session.say(path)
    return 0


def _by_daemon(session: Session, parsed: Parsed) -> bytes:
    """b"" where no daemon answers. None is started for this."""
    for name in _ROOTS:
        if parsed.given(name):
            raise Exit(1, f"--{name} is for --offline: a daemon has its own")
    engine = session.unconnected()
    try:
        engine.ping(_PATIENCE)
    except DaemonUnreachable as error:
        session.warn(f"{error} The report is made without it.")
        return b""
    if not engine.is_sampan:
        raise Exit(1, f"the daemon at {session.address.text} is not Sampan's")
    return engine.fetch_raw("/sampan/debug")


def _without_daemon(parsed: Parsed) -> bytes:
    from sampan.daemon.debug_offline import report
    from sampan.errors import SampanError

    arguments = [f"--{name}={parsed.text(name)}" for name in _ROOTS if parsed.given(name)]
    try:
        root = parsed.text("data-root") or data_root()
        return report(arguments, parsed.text("log-file") or LOG_FILE, lock_holder(root))
    except SampanError as error:
        raise Exit(1, str(error)) from error


DEBUG = Command(
    "[OPTIONS]",
    "Pack a report for whoever looks for a fault; secrets are left out",
    _debug,
    (
        Option("output", "string", "Where the archive goes, - for standard output", "o", completes="file"),
        Option("offline", "bool", "Do not ask a daemon"),
        Option("data-root", "string", "With --offline: the data root, where it is not daemon.json's", completes="file"),
        Option("exec-root", "string", "With --offline: the exec root, where it is not daemon.json's", completes="file"),
        Option("config-file", "string", "With --offline: the daemon.json that counts", completes="file"),
        Option("log-file", "string", "With --offline: where the daemon's log goes", completes="file"),
    ),
    examples=("system debug", "system debug -o - | tar tz", "system debug --offline --data-root /mnt/var/lib/sampan"),
)
