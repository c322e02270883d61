"""Starting the daemon where the default socket has none: `sampand` of this installation, in a session of its own, outside the
caller's cgroup (a CI job or a login session takes its processes along when it ends), its output in a named log file.
"""

from __future__ import annotations

import fcntl
import os
import sys
import time

from sampan.client import documents
from sampan.client.address import DEFAULT_SOCKET, Address
from sampan.client.documents import text_of
from sampan.client.engine import Engine
from sampan.client.failures import DaemonUnreachable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

CONFIG_FILE = "/etc/sampan/daemon.json"
DATA_ROOT = "/var/lib/sampan"
LOG_FILE = "/var/log/sampan/sampand.log"
READY_WITHIN = 5.0
# What a daemon may know of its caller's environment: nothing of the caller's session, all of the host's network set-up, and where
# its traces go (OTEL_*).
_KEPT = (
    "PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
    "SAMPAN_CRASH_AT", "SAMPAN_DEBUG",
)  # fmt: skip


def start_daemon(environ: Mapping[str, str], reason: DaemonUnreachable) -> str:
    """Start `sampand` and wait until it answers; the line that tells the user. DaemonUnreachable, with what to do, if not.

    `reason` is what the first attempt to reach the default socket brought.
    """
    if os.geteuid() != 0:
        raise DaemonUnreachable(
            f"{reason}\nStart one of your own, without root: sampan rootless setup. Or as root: sudo sampand; "
            "or name another with -H."
        ) from reason
    holder = lock_holder(data_root())
    if holder:
        raise DaemonUnreachable(
            f"{reason}\nThe daemon with pid {holder} holds {data_root()} and does not answer at {DEFAULT_SOCKET}: "
            f"it may listen elsewhere (-H), or hang; its log is {LOG_FILE} or the journal."
        ) from reason
    began = time.monotonic()
    pid, notes = _spawn(environ)
    _wait_until_ready(pid)
    took = time.monotonic() - began
    holder = lock_holder(data_root())
    if holder.isdigit() and int(holder) != pid:
        return f"sampan: another command was starting a daemon at the same moment (pid {holder}, log {LOG_FILE})"
    also = f"; {notes}" if notes else ""
    return f"sampan: no daemon was running: started one (pid {pid}, {took:.1f} s, log {LOG_FILE}{also})"


def data_root() -> str:
    """The default daemon's data root: daemon.json's, or Sampan's default."""
    try:
        with open(CONFIG_FILE, "rb") as file:
            return text_of(documents.document(file.read(1 << 20)), "data-root") or DATA_ROOT
    except (OSError, documents.MalformedDocument):
        return DATA_ROOT  # a broken file is the daemon's to complain of


def lock_holder(root: str) -> str:
    """The pid (or "unknown") of the daemon that locks this data root; "" where none does."""
    try:
        descriptor = os.open(os.path.join(root, "lock"), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return ""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return str(os.pread(descriptor, 32, 0), "ascii", "replace").strip() or "unknown"
    finally:
        os.close(descriptor)
    return ""


def _spawn(environ: Mapping[str, str]) -> tuple[int, str]:
    """The daemon's pid, and what could not be done for it. Two forks: it is nobody's child but init's."""
    os.makedirs(os.path.dirname(LOG_FILE), mode=0o750, exist_ok=True)
    log = os.open(LOG_FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o640)
    reader, writer = os.pipe2(os.O_CLOEXEC)
    child = os.fork()
    if child == 0:
        _become_daemon(log, writer, environ)
    os.close(writer)
    os.close(log)
    told = b""
    while data := os.read(reader, 4096):
        told += data
    os.close(reader)
    os.waitpid(child, 0)
    pid, _, notes = str(told, "utf-8", "replace").partition("\n")
    if not pid.isdigit() or "\nfailed: " in f"\n{notes}":
        raise DaemonUnreachable(f"cannot start sampand: {notes.removeprefix('failed: ') or pid}")
    return int(pid), notes


def _become_daemon(log: int, writer: int, environ: Mapping[str, str]) -> None:
    """In the first child: fork once more, leave session, cgroups and descriptors behind, execute. Never returns."""
    try:
        os.setsid()
        if os.fork():
            os._exit(0)
        os.write(writer, f"{os.getpid()}\n{leave_cgroups()}".encode())
        os.chdir("/")
        os.umask(0o022)
        null = os.open("/dev/null", os.O_RDONLY)
        for source, target in ((null, 0), (log, 1), (log, 2)):
            os.dup2(source, target)
        highest = max(int(name) for name in os.listdir("/proc/self/fd"))
        for descriptor in range(3, highest + 1):
            if descriptor not in (writer, log):
                try:
                    os.close(descriptor)
                except OSError:
                    pass  # not open, or the listing's own
        kept = {name: value for name, value in environ.items() if name in _KEPT or name.startswith("OTEL_")}
        root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        # -I keeps the caller's PYTHON* and directory out; the path is named because it need not be installed to run
        code = f"import sys; sys.path.insert(0, {root!r}); from sampan.daemon_main import main; sys.exit(main())"
        os.execve(sys.executable, [sys.executable, "-I", "-c", code], {"HOME": "/root", "PATH": os.defpath, **kept})  # noqa: S606
    except BaseException as error:  # noqa: BLE001 - the boundary of a process that has no other way to tell
        os.write(writer, f"\nfailed: {error}".encode())
    finally:
        os._exit(1)


def leave_cgroups() -> str:
    """Move this process to the root of every hierarchy it is below; "" or why some could not be left (best effort)."""
    mounts = _hierarchies()
    stuck: list[str] = []
    with open("/proc/self/cgroup", encoding="utf-8", errors="surrogateescape") as file:
        lines = file.read().splitlines()
    for line in lines:
        _, controllers, path = line.split(":", 2)
        mount = mounts.get(controllers)
        if path == "/" or mount is None:
            continue
        try:
            with open(os.path.join(mount, "cgroup.procs"), "w", encoding="ascii") as procs:
                procs.write("0")
        except OSError as error:
            stuck.append(f"{controllers or 'cgroup2'}: {error.strerror}")
    return f"still in its starter's cgroup ({', '.join(stuck)})" if stuck else ""


def _hierarchies() -> dict[str, str]:
    """Mount point by what /proc/self/cgroup calls the hierarchy: "" for v2, "cpu,cpuacct", "name=systemd" …"""
    found: dict[str, str] = {}
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            left, _, right = line.rstrip("\n").partition(" - ")
            kind, _, options = right.partition(" ")
            where = left.split(" ")[4]
            if kind == "cgroup2":
                found.setdefault("", where)
            elif kind == "cgroup":
                names = options.split(" ")[-1].split(",")
                for line_name in _controller_lists():
                    if line_name and set(line_name.split(",")) <= set(names):
                        found.setdefault(line_name, where)
    return found


def _controller_lists() -> list[str]:
    with open("/proc/self/cgroup", encoding="utf-8", errors="surrogateescape") as file:
        return [line.split(":", 2)[1] for line in file.read().splitlines()]


def _wait_until_ready(pid: int) -> None:
    engine = Engine(Address(f"unix://{DEFAULT_SOCKET}", "unix", path=DEFAULT_SOCKET))
    ends = time.monotonic() + READY_WITHIN
    while True:
        try:
            engine.ping(timeout=1.0)
            engine.close()
            return
        except DaemonUnreachable as error:
            gone = _has_ended(pid)
            # one that lost the race for the lock to another's start is no failure: that other one will answer
            if time.monotonic() > ends or (gone and not lock_holder(data_root())):
                what = "ended at once" if gone else f"did not answer within {READY_WITHIN:.0f} s"
                raise DaemonUnreachable(f"started sampand, but it {what}: {_last_words()} (log: {LOG_FILE})") from error
        time.sleep(0.02)


def _has_ended(pid: int) -> bool:
    """Gone, or a zombie that its parent, the machine's init, takes its time over."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[:1] == [b"Z"]
    except OSError:
        return True


def _last_words() -> str:
    try:
        with open(LOG_FILE, "rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 4096))
            lines = str(file.read(), "utf-8", "replace").strip().splitlines()
    except OSError:
        return "no log"
    return lines[-1] if lines else "it wrote nothing"
