"""A command under a pseudo-terminal, driven as a person at a keyboard would: type, read, change the window's size."""

import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time
from types import TracebackType
from typing import Self


class Terminal:
    """Runs `command` with a terminal of 24 rows and 80 columns. What was read and not yet expected stays in `screen`."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            # A shell that runs the tests in its background has them ignore Ctrl-C; who sits at a terminal does not.
            for number in (signal.SIGINT, signal.SIGQUIT):
                signal.signal(number, signal.SIG_DFL)
            os.execvpe(command[0], command, environment)
        self.screen = b""
        self.resize(24, 80)

    def resize(self, rows: int, columns: int) -> None:
        """Change the window; the program under it gets SIGWINCH."""
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        os.kill(self.pid, signal.SIGWINCH)

    def press(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self.master, keys)

    def expect(self, wanted: bytes, seconds: float = 15) -> bytes:
        """Read until `wanted` was on the screen; returns everything up to its end. AssertionError when it does not come."""
        deadline = time.monotonic() + seconds
        while wanted not in self.screen:
            left = deadline - time.monotonic()
            if left <= 0 or not self._read(left):
                raise AssertionError(f"{wanted!r} did not come; the screen has {self.screen[-2000:]!r}")
        before, found, self.screen = self.screen.partition(wanted)
        return before + found

    def _read(self, seconds: float) -> bool:
        if select.select([self.master], [], [], seconds)[0]:
            try:
                data = os.read(self.master, 65536)
            except OSError:  # EIO: the last process of the terminal is gone
                return False
            self.screen += data
            return bool(data)
        return True

    def wait(self, seconds: float = 15) -> int:
        """Read on until the command ends; its exit code."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self._read(0.2):
            pass
        while time.monotonic() < deadline:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.pid = 0
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.02)
        raise AssertionError(f"the command goes on; the screen has {self.screen[-2000:]!r}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.master)
