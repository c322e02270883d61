"""A plugin's process: made by the command `sampan-oci` as any bundle is, watched by a descriptor, ended by signals.

    prepare ──▶ sampan-oci create ──▶ start ──▶ pidfd … ended        found again by `sampan-oci`'s state after a daemon's death
                       │ stdout, stderr
                       ▼
                 <run>/output    a pipe that the plugin itself holds open: it outlives the daemon, whose next one reads on

Blocking; to be called in a thread.
"""

import fcntl
import json
import os
import signal
import stat
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from sampan.errors import NotFound, System
from sampan.files.atomic import make_directory, write_atomic
from sampan.files.remove import remove_tree
from sampan.oci import containers, lifecycle
from sampan.runtime.record import start_time

_PROGRAM = "import sys; sys.path[:] = sys.argv.pop(1).split('\\n'); from sampan.oci.command import main; main()"
_CREATE_SECONDS = 60.0
_OUTPUT, _BUNDLE, _SOCKETS, _LOG = "output", "bundle", "sockets", "create.log"
_PIPE = 1 << 20
_SHORT = 12
_LOG_LIMIT = 1 << 16


@dataclass(frozen=True, slots=True)
class Started:
    """A running plugin: descriptors of its init and of what it writes. Whoever gets it closes it."""

    pid: int
    pidfd: int
    output: int

    def close(self) -> None:
        """Let go of both descriptors."""
        os.close(self.pidfd)
        os.close(self.output)


class Processes:
    """All of one daemon, below its exec-root."""

    def __init__(self, directory: Path, environment: dict[str, str]) -> None:
        """`directory` exists no longer than the machine runs; `environment` is all that `sampan-oci` gets."""
        self._directory = make_directory(directory, 0o711)
        self._states = str(directory / "states")
        self._environment = environment

    def sockets(self, identifier: str) -> Path:
        """The directory that a plugin sees as /run/docker/plugins."""
        return self._home(identifier) / _SOCKETS

    def _home(self, identifier: str) -> Path:
        return self._directory / short(identifier)

    def _container(self, identifier: str) -> containers.Container:
        return containers.Container(self._states, short(identifier))

    def prepare(self, identifier: str, owner: tuple[int, int]) -> Path:
        """The place for one run, with nothing of an earlier one in it: its directory of sockets, which `owner` may write to."""
        self.forget(identifier)
        home = make_directory(self._home(identifier), 0o700)
        make_directory(home / _BUNDLE)
        sockets = make_directory(home / _SOCKETS, 0o755)
        os.chown(sockets, *owner)
        os.mkfifo(home / _OUTPUT, 0o600)
        return sockets

    def start(self, identifier: str, document: bytes) -> Started:
        """Run the bundle whose config.json is `document`. Raises System with what `sampan-oci` says; then nothing runs."""
        home = self._home(identifier)
        write_atomic(home / _BUNDLE / "config.json", document, durable=False)
        # Read and write: the plugin's own copy keeps the pipe open when this daemon dies, and it never gets a SIGPIPE.
        output = self._open_output(identifier, os.O_RDWR)
        try:
            fcntl.fcntl(output, fcntl.F_SETPIPE_SZ, _PIPE)
            self._create(identifier, home, output)
            container = self._container(identifier)
            lifecycle.start(container)
            return self._opened(container)
        except BaseException:
            self.end(identifier)
            raise
        finally:
            os.close(output)

    def _create(self, identifier: str, home: Path, output: int) -> None:
        log = home / _LOG
        words = [
            sys.executable, "-I", "-S", "-B", "-c", _PROGRAM, "\n".join(sys.path),
            "--root", self._states, "--log", str(log), "--log-format", "json",
            "create", "--bundle", str(home / _BUNDLE), short(identifier),
        ]  # fmt: skip
        try:
            done = subprocess.run(
                words,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self._environment,
                timeout=_CREATE_SECONDS,
                start_new_session=True,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise System(f"the plugin could not be made within {_CREATE_SECONDS:.0f} seconds") from error
        if done.returncode:
            raise System(_told(log) or f"sampan-oci ended with status {done.returncode}")

    def _open_output(self, identifier: str, how: int) -> int:
        path = self._home(identifier) / _OUTPUT
        descriptor = os.open(path, how | os.O_CLOEXEC | os.O_NOFOLLOW)
        if not stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise System(f"{path} is no pipe")
        return descriptor

    def _opened(self, container: containers.Container) -> Started:
        pid, started = container.load().init
        # A description of our own: that it does not block is nothing to the plugin.
        output = self._open_output(container.name, os.O_RDONLY | os.O_NONBLOCK)
        try:
            pidfd = os.pidfd_open(pid)
        except ProcessLookupError as error:
            os.close(output)
            raise System("the plugin has ended at once") from error
        if start_time_of(pid) != started:
            os.close(pidfd)
            os.close(output)
            raise System("the plugin has ended at once")
        return Started(pid, pidfd, output)

    def find(self, identifier: str) -> Started | None:
        """A plugin that an earlier daemon started and that runs; None where there is none."""
        container = self._container(identifier)
        try:
            if container.status(container.load()) != "running":
                return None
            return self._opened(container)
        except (NotFound, FileNotFoundError, System):
            return None

    def signal(self, started: Started, number: int) -> None:
        """Send one to its init; one that has ended is passed over."""
        try:
            signal.pidfd_send_signal(started.pidfd, number)
        except ProcessLookupError:
            return

    def end(self, identifier: str) -> None:
        """Kill what is left of a plugin, with its control group. Nothing happens where there is nothing. Raises System."""
        lifecycle.delete(self._container(identifier), force=True)

    def forget(self, identifier: str) -> None:
        """`end`, and remove the place of its run."""
        self.end(identifier)
        handle = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            remove_tree(handle, short(identifier).encode())
        except FileNotFoundError:
            return
        finally:
            os.close(handle)

    def known(self) -> list[str]:
        """Short ids of which there is something: a run, or what is left of one."""
        runs = {path.name for path in self._directory.iterdir() if len(path.name) == _SHORT}
        return sorted(runs | {container.name for container in containers.everyone(self._states)})


def short(identifier: str) -> str:
    """What a plugin's run is called: a socket below a directory of 64 digits may be longer than the 107 bytes of sun_path."""
    return identifier[:_SHORT]


def start_time_of(pid: int) -> int:
    """See `runtime.record.start_time`; 0 where the process is gone."""
    try:
        return start_time(pid)
    except (FileNotFoundError, ProcessLookupError):
        return 0


def _told(log: Path) -> str:
    """The last message of a log of `sampan-oci`'s."""
    try:
        with open(log, "rb") as file:
            lines = file.read(_LOG_LIMIT).splitlines()
        return str(json.loads(lines[-1])["msg"])
    except (FileNotFoundError, LookupError, TypeError, ValueError, RecursionError):
        return ""
