"""Terminals: handed to the caller by its console socket, or for a call in the foreground carried to and from our own."""

import errno
import fcntl
import os
import select
import signal
import socket
import struct
import termios
import tty
from collections.abc import Callable

from sampan.errors import System
from sampan.files.writing import write_all

_NAME = b"/dev/ptmx"
"""What the descriptor is called in the message; runc sends the same."""
_CHUNK = 64 * 1024
_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


def hand_over(path: str, terminal: int) -> None:
    """Send the terminal's master to who listens at `path`, and close it. Raises System."""
    try:
        # By the directory's descriptor: the path may be longer than the 107 bytes of sun_path.
        directory = os.open(os.path.dirname(path) or ".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
                caller.connect(f"/proc/self/fd/{directory}/{os.path.basename(path)}")
                socket.send_fds(caller, [_NAME], [terminal])
        finally:
            os.close(directory)
    except OSError as error:
        raise System(f"cannot hand the terminal to {path}: {error.strerror}") from error
    finally:
        os.close(terminal)


def wait(pid: int, pidfd: int, terminal: int = -1) -> int:
    """Stay until the child `pid` has ended; its exit code, 128 and the signal for one that was killed.

    Signals go to it. With a `terminal` this process's own input and output are connected to it meanwhile.
    """
    for number in _FORWARDED:
        signal.signal(number, _forwarder(pidfd))
    if terminal >= 0:
        _carry(terminal, pidfd)
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _forwarder(pidfd: int) -> Callable[[int, object], None]:
    def forward(number: int, _frame: object) -> None:
        try:
            signal.pidfd_send_signal(pidfd, number)
        except ProcessLookupError:
            return

    return forward


def _carry(terminal: int, pidfd: int) -> None:
    before = None
    if os.isatty(0):
        before = termios.tcgetattr(0)
        tty.setraw(0)
        _fit(terminal)
        signal.signal(signal.SIGWINCH, lambda _number, _frame: _fit(terminal))
    try:
        _copy(terminal, pidfd)
    finally:
        if before is not None:
            termios.tcsetattr(0, termios.TCSADRAIN, before)
        os.close(terminal)


def _fit(terminal: int) -> None:
    size = fcntl.ioctl(0, termios.TIOCGWINSZ, b"\0" * struct.calcsize("4H"))
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, size)


def _copy(terminal: int, pidfd: int) -> None:
    """Until the program has ended and all that it wrote is read: its side of the terminal then answers EIO."""
    reading = [terminal, pidfd, 0]
    while True:
        ready, _, _ = select.select(reading, [], [])
        if 0 in ready:
            typed = os.read(0, _CHUNK)
            if typed:
                write_all(terminal, typed)
            else:
                reading.remove(0)
        if terminal in ready:
            try:
                shown = os.read(terminal, _CHUNK)
            except OSError as error:
                if error.errno != errno.EIO:
                    raise
                return
            write_all(1, shown)
        elif pidfd in ready:
            return
