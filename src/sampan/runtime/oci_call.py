"""Calls of another OCI runtime's command: bounded in time, with what it says in its log, and the terminal by its console socket.

Executed by descriptor, so that what was found is what runs; a script by its path, because its interpreter opens it once more.

Loaded by the driver, which is executed for one start or exec; never by the launcher.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import struct

from sampan.cgroups.groupfile import UNIFIED
from sampan.files.remove import remove_tree
from sampan.kernel.namespaces import Clone, clone3
from sampan.kernel.process import Prctl, close_all_but, prctl
from sampan.runtime.steps import StepFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

CONSOLE = "console.sock"
LOG = "runtime.log"
_SECONDS = 120.0
"""For a command of its: hooks may run in it, and an image lie on a slow disk."""
_CONSOLE_SECONDS = 10.0
_DELETE_SECONDS = 10.0
_LOG_LIMIT = 64 * 1024
_SHOWN = 2000
_NAME_LIMIT = 4096
_NOT_EXECUTED = 127


def birthplace(groups: dict[str, str]) -> int:
    """On a hybrid host the v2 group, which has no limits there and into which some runtimes move nobody; else -1."""
    if UNIFIED not in groups or set(groups.values()) == {groups[UNIFIED]}:
        return -1
    return os.open(groups[UNIFIED], os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def step_in_hybrid(groups: dict[str, str], pid: int) -> None:
    """A process goes into that group, unless it is there."""
    group = birthplace(groups)
    if group < 0:
        return
    try:
        with open(f"/proc/{pid}/cgroup", encoding="utf-8", errors="surrogateescape") as file:
            places = [line[3:].strip() for line in file if line.startswith("0::")]
        if any(place != "/" and groups[UNIFIED].endswith(place) for place in places):
            return
        procs = os.open("cgroup.procs", os.O_WRONLY | os.O_CLOEXEC, dir_fd=group)
        try:
            os.write(procs, str(pid).encode())
        finally:
            os.close(procs)
    finally:
        os.close(group)


class Caller:
    """One runtime. `called` is the member of the message that says which; `directory` is the record's, where its files lie."""

    def __init__(self, called: dict[str, Any], program: int, environment: dict[str, str], directory: str) -> None:
        self.name = str(called["name"])
        self.path = str(called["path"])
        self.directory = directory
        self._program = program
        self._script = os.pread(program, 2, 0) == b"#!"
        self._state = str(called["state"])
        self._before = [self.path, *called["arguments"], "--root", self._state]
        self._environment = environment

    def at_end(self, container: str) -> dict[str, Any]:
        """What the monitor is to call when the container has ended (`aside.call_at_end`)."""
        return {
            "path": self.path,
            "arguments": [*self._before, "delete", "--force", container],
            "environment": self._environment,
            "script": self._script,
        }

    def make(self, words: list[str], streams: list[int], group: int = -1) -> int:
        """A command that leaves a process behind, with these streams; the terminal's master, -1 where there are streams.

        CONSOLE among the words is where the console socket is named. Born in the group, -1 for none. Raises StepFailed.
        """
        place = words.index("CONSOLE")
        try:
            if streams:
                self.call(words[:place] + words[place + 1 :], streams, group)
                return -1
            with _listening(self.directory) as listener:
                opened = os.open(self.directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
                try:
                    # By a descriptor of ours: the path may be longer than the 107 bytes of a socket's name.
                    named = ["--console-socket", f"/proc/{os.getpid()}/fd/{opened}/{CONSOLE}"]
                    self.call([*words[:place], *named, *words[place + 1 :]], [], group)
                finally:
                    os.close(opened)
                return _terminal(listener, self.name)
        finally:
            if group >= 0:
                os.close(group)

    def call(self, words: list[str], streams: list[int] | None = None, group: int = -1) -> None:
        """Have it done. Raises StepFailed with the runtime's own words."""
        log = f"{self.directory}/{LOG}"
        said = os.memfd_create("runtime-errors")
        try:
            code = self._run(["--log", log, "--log-format", "json", *words], streams or [], said, group, _SECONDS)
            if code == 0:
                return
            text = read_failure(log) or os.pread(said, _SHOWN, 0).decode(errors="replace").strip()
        finally:
            os.close(said)
        if code is None:
            text = f"{self.name} {words[0]}: no end after {_SECONDS:.0f} seconds"
        raise StepFailed("runtime", text or f"{self.path} did not terminate successfully: exit status {code}")

    def delete(self, container: str) -> None:
        """What it keeps of a container that came to nothing goes; it may not know of one."""
        null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        try:
            self._run(["delete", "--force", container], [], null, -1, _DELETE_SECONDS)
        finally:
            os.close(null)
        state = os.open(self._state, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            remove_tree(state, os.fsencode(container))
        finally:
            os.close(state)

    def forget(self, container: str) -> None:
        """The same for one that an earlier monitor has left."""
        if os.path.exists(f"{self._state}/{container}"):
            self.delete(container)

    def _run(self, words: list[str], streams: list[int], said: int, group: int, seconds: float) -> int | None:
        """Its exit code; None where it had to be killed."""
        child, pidfd = clone3(Clone(0), group)
        if child == 0:
            self._be(words, streams, said)
        try:
            ended = bool(select.select([pidfd], [], [], seconds)[0])
            if not ended:
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
        finally:
            os.close(pidfd)
        return os.waitstatus_to_exitcode(status) if ended else None

    def _be(self, words: list[str], streams: list[int], said: int) -> NoReturn:
        """The runtime, in a fresh child. It ends with its caller."""
        try:
            prctl(Prctl.SET_PDEATHSIG, signal.SIGKILL)
            null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
            copies = [os.dup(descriptor) for descriptor in streams or (null, said, said)]
            for target, descriptor in enumerate(copies):
                os.dup2(descriptor, target, inheritable=True)
            close_all_but([self._program])
            for number in signal.valid_signals():
                if number not in (signal.SIGKILL, signal.SIGSTOP) and signal.getsignal(number) is not None:
                    signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
            program = self.path if self._script else self._program
            os.execve(program, [*self._before, *words], self._environment)  # noqa: S606
        except OSError as error:
            os.write(2, f"{self.path}: {error.strerror}".encode())
        finally:
            os._exit(_NOT_EXECUTED)


def _listening(directory: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    opened = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        listener.bind(f"/proc/self/fd/{opened}/{CONSOLE}")
    finally:
        os.close(opened)
    listener.listen(1)
    return listener


def _terminal(listener: socket.socket, name: str) -> int:
    """The master that the runtime has sent. Raises StepFailed where none came."""
    listener.settimeout(_CONSOLE_SECONDS)
    try:
        caller, _ = listener.accept()
        with caller:
            caller.settimeout(_CONSOLE_SECONDS)
            _, ancillary, _, _ = caller.recvmsg(_NAME_LIMIT, socket.CMSG_SPACE(4), socket.MSG_CMSG_CLOEXEC)
    except OSError as error:
        raise StepFailed("runtime", f"{name} sent no terminal to the console socket: {error}") from error
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS and len(data) >= 4:
            return int(struct.unpack_from("i", data)[0])
    raise StepFailed("runtime", f"{name} sent no terminal to the console socket")


def read_failure(log: str) -> str:
    """The last error in a log of JSON lines, as runc and crun write them; "" where there is none."""
    try:
        descriptor = os.open(log, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return ""
    try:
        size = os.fstat(descriptor).st_size
        text = os.pread(descriptor, _LOG_LIMIT, max(size - _LOG_LIMIT, 0))
    finally:
        os.close(descriptor)
    found = ""
    for line in text.splitlines():
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(entry, dict) and entry.get("level") in ("error", "fatal"):
            found = str(entry.get("msg", ""))
    return found[:_SHOWN]
