"""criu's own protocol: requests packed, answers read, and the conversation with one `criu swrk`.

criu is a command of the host, found when it is needed. It is driven by its RPC and not by a command line, as runc does it:
descriptors instead of paths, a word at the moment between "everything is dumped" and "the program is killed" (and between
"restored" and "goes on"), and the pid in the answer. A packet is a protobuf message (criu's `rpc.proto`); the few members
that are used are packed here.

    we ── DUMP or RESTORE ──▶ criu
       ◀── NOTIFY {script} ──      a stage is reached, and criu waits
       ── NOTIFY {success} ──▶
       ◀── DUMP or RESTORE {success, pid} ──

Loaded by the checkpointer and the restorer, which are executed for one dump or restore; never by the launcher.
"""

from __future__ import annotations

import enum
import os
import re
import signal
import socket

from sampan.kernel.process import Prctl, close_all_but, prctl
from sampan.spec import wire_format

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import NoReturn

CHANNEL = 3
"""The descriptor on which criu hears us (`criu swrk 3`)."""
DUMP_LOG = "dump.log"
RESTORE_LOG = "restore.log"

_PACKET_LIMIT = 64 * 1024
_LOG_LIMIT = 1024 * 1024
_LOG_LEVEL = 3
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_NOT_EXECUTED = 127
_CGROUPS_ARE_OURS = 0
_LOCK_BY_NFTABLES = 2
_ERROR_LINE = re.compile(r"^(?:\(\s*[0-9.]+\)\s*)?(?:\s*\d+: )?Error \([^)]*\): (.*)$")
_NOISE = ("exited, status=", "execvp(")
"""What criu complains of while it looks for iptables, on a host where everything else goes well."""


class Kind(enum.IntEnum):
    """criu_req_type, as far as it is used."""

    DUMP = 1
    RESTORE = 2
    NOTIFY = 6


class CriuFailed(Exception):
    """criu could not do it. The text is its own reason, or says how it ended."""


class Answer:
    """One criu_resp. `script` is the stage of a NOTIFY, `pid` that of the root process on the host."""

    __slots__ = ("kind", "message", "pid", "script", "success")

    def __init__(self) -> None:
        self.kind = 0
        self.success = False
        self.pid = 0
        self.script = ""
        self.message = ""


def dump_request(images: int, pid: int, external: Sequence[str], *, leave_running: bool) -> bytes:
    """A DUMP of the tree of `pid` into the directory `images` (a descriptor of this process), its log included.

    `external` are criu's names of what is not part of the image: `mnt[/etc/hosts]:key`, `net[inode]:key`, `file[mount:inode]`.
    """
    options = [
        wire_format.number(1, images),
        wire_format.number(2, pid),
        wire_format.number(3, leave_running),
        *_common(DUMP_LOG, external),
        wire_format.number(64, _LOCK_BY_NFTABLES),
    ]
    return _request(Kind.DUMP, options)


def restore_request(
    images: int, work: int, root: str, external: Sequence[str], inherited: Sequence[tuple[str, int]]
) -> bytes:
    """A RESTORE from `images` with the mount at `root` as root file system; the log goes to the directory `work`.

    `external` says where what was external stands now (`mnt[key]:path`); `inherited` are criu's names of open files and
    the descriptors that take their place, as criu itself has them.
    """
    options = [
        wire_format.number(1, images),
        wire_format.number(6, 1),
        _text(13, root),
        wire_format.number(17, work),
        *_common(RESTORE_LOG, external),
        *(wire_format.data(27, _text(1, key) + wire_format.number(2, descriptor)) for key, descriptor in inherited),
    ]
    return _request(Kind.RESTORE, options)


def _common(log: str, external: Sequence[str]) -> Iterator[bytes]:
    yield wire_format.number(9, _LOG_LEVEL)
    yield _text(10, log)
    yield wire_format.number(12, 1)
    yield wire_format.number(34, _CGROUPS_ARE_OURS)
    yield from (_text(37, name) for name in external)


def notified(success: bool) -> bytes:
    """The answer to a NOTIFY; without `success` criu takes back what it did."""
    return wire_format.number(1, Kind.NOTIFY) + wire_format.number(3, success)


def _request(kind: Kind, options: list[bytes]) -> bytes:
    return wire_format.number(1, kind) + wire_format.data(2, b"".join(options))


def _text(field: int, value: str) -> bytes:
    return wire_format.data(field, os.fsencode(value))


def parse(packet: bytes) -> Answer:
    """A criu_resp. Members that are not used are passed over. Raises ValueError for what is no protobuf message."""
    answer = Answer()
    for field, value in wire_format.fields(packet):
        if field == 1 and isinstance(value, int):
            answer.kind = value
        elif field == 2 and isinstance(value, int):
            answer.success = bool(value)
        elif field == 4 and isinstance(value, bytes):
            answer.pid = _inner_number(value, 1)
        elif field == 5 and isinstance(value, bytes):
            answer.script = next((_plain(text) for number, text in wire_format.fields(value) if number == 1), "")
            answer.pid = _inner_number(value, 2)
        elif field == 9 and isinstance(value, bytes):
            answer.message = _plain(value)
    return answer


def _plain(value: int | bytes) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else ""


def _inner_number(message: bytes, wanted: int) -> int:
    return next(
        (value for field, value in wire_format.fields(message) if field == wanted and isinstance(value, int)), 0
    )


def converse(channel: socket.socket, request: bytes, stages: Mapping[str, Callable[[int], None]]) -> int:
    """Send `request`, answer what is asked on the way, and return the root's pid (0 for a dump).

    `stages` are called with the pid when criu has reached them and waits; what they raise makes criu take everything back,
    and is raised here when it has. Raises CriuFailed.
    """
    raised: Exception | None = None
    saying = request
    while True:
        try:
            channel.send(saying)
            packet = channel.recv(_PACKET_LIMIT)
        except ConnectionError:
            packet = b""
        if not packet:
            raise raised or CriuFailed("criu ended before it was done")
        try:
            answer = parse(packet)
        except ValueError as error:
            raise CriuFailed(f"criu answered with {error}") from error
        if answer.kind != Kind.NOTIFY:
            if raised is not None:
                raise raised
            if not answer.success:
                raise CriuFailed(answer.message or "criu failed")
            return answer.pid
        try:
            if raised is None and answer.script in stages:
                stages[answer.script](answer.pid)
        except Exception as error:  # noqa: BLE001 - raised below, when criu has taken back what it did
            raised = error
        saying = notified(raised is None)


def execute(program: str, channel: int, kept: Sequence[int], errors: int) -> NoReturn:
    """Be criu, in a fresh child: `channel` becomes descriptor 3, `kept` stay what they are (all above 3), the rest is closed.

    It ends with its parent, so that no half of a container is left to nobody. What goes wrong is written to `errors`.
    """
    try:
        _execute(program, channel, kept, errors)
    except OSError as error:
        os.write(errors, f"{program}: {error.strerror}".encode())
    finally:
        os._exit(_NOT_EXECUTED)


def _execute(program: str, channel: int, kept: Sequence[int], errors: int) -> None:
    prctl(Prctl.SET_PDEATHSIG, signal.SIGKILL)
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    for target, descriptor in ((0, null), (1, errors), (2, errors), (CHANNEL, channel)):
        os.dup2(descriptor, target, inheritable=True)
    for descriptor in kept:
        os.set_inheritable(descriptor, True)
    close_all_but([CHANNEL, *kept])
    for number in signal.valid_signals():
        if number not in (signal.SIGKILL, signal.SIGSTOP) and signal.getsignal(number) is not None:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.execve(program, ["criu", "swrk", str(CHANNEL)], {"PATH": _PATH})  # noqa: S606


def reason(log: str) -> str:
    """Why criu failed, by its log: the first error that is one; "" where there is none."""
    for line in log.splitlines():
        found = _ERROR_LINE.match(line)
        if found and not found[1].startswith(_NOISE):
            return found[1].strip()
    return ""


def read_log(directory: int, name: str) -> str:
    """A log of criu in a directory, a bounded piece from its beginning and its end; "" where there is none."""
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=directory)
    except FileNotFoundError:
        return ""
    try:
        size = os.fstat(descriptor).st_size
        text = os.pread(descriptor, _LOG_LIMIT, 0)
        if size > _LOG_LIMIT:
            text += b"\n" + os.pread(descriptor, _LOG_LIMIT, max(size - _LOG_LIMIT, _LOG_LIMIT))
        return text.decode(errors="replace")
    finally:
        os.close(descriptor)
