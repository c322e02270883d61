"""One attached conversation: terminal, signals, detach keys and pump put together for run, attach, start -a and exec."""

from __future__ import annotations

import os
import sys

from sampan.cli.attach.pump import Pump
from sampan.cli.failures import Exit
from sampan.client.failures import RefusedByDaemon

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.client.engine import Engine
    from sampan.client.http import Response
    from sampan.client.wire import Wire
    from sampan.spec.detach_keys import Detector

UPGRADE = (("Connection", "Upgrade"), ("Upgrade", "tcp"))


class Streams:
    """Which streams are wanted, whether they are a terminal, and what leaves them."""

    __slots__ = ("detach_keys", "stderr", "stdin", "stdout", "tty")

    def __init__(self, stdin: bool, stdout: bool, stderr: bool, tty: bool, detach_keys: str = "") -> None:
        self.stdin = stdin
        self.stdout = stdout
        self.stderr = stderr
        self.tty = tty
        self.detach_keys = detach_keys

    def check_terminal(self) -> None:
        """Exit as docker does where a terminal was asked for and stdin is none."""
        if self.stdin and self.tty and not os.isatty(0):
            raise Exit(1, "the input device is not a TTY")


def carry(engine: Engine, wire: Wire, streams: Streams, target: str, signal_target: str = "", until: int = -1) -> bool:
    """Carry the streams of `wire` to their end (True), or until the detach keys are typed (False).

    `target` is the API path that window sizes go to ("/containers/ID", "/exec/ID"); signals that this process gets are
    sent to the container `signal_target` when that is given.
    """
    sys.stdout.flush()
    outputs = (1 if streams.stdout else -1, 2 if streams.stderr else -1)
    pump = Pump(wire, streams.tty, 0 if streams.stdin else -1, outputs, until)
    typed = streams.tty and streams.stdin
    on_terminal = streams.tty and os.isatty(1)
    if typed:
        pump.detector = _detector(streams.detach_keys)
    if not typed and not on_terminal and not signal_target:
        return pump.run()
    return _with_terminal(engine, pump, target, signal_target, typed, on_terminal)


def _detector(keys: str) -> Detector:
    from sampan.spec.detach_keys import DEFAULT, Detector, parse

    return Detector(parse(keys) if keys else DEFAULT)


def _with_terminal(engine: Engine, pump: Pump, target: str, signal_target: str, typed: bool, on_terminal: bool) -> bool:
    from sampan.cli.attach.signals import FORWARDED, SIGWINCH, SignalPipe

    def on_signal(number: int) -> None:
        if number == SIGWINCH:
            resize(engine, target)
        else:
            forward(engine, signal_target, FORWARDED[number])

    pump.on_signal = on_signal
    with SignalPipe(forward=bool(signal_target), resize=on_terminal) as signals:
        pump.signals = signals
        if on_terminal:
            _first_size(engine, target)
        if not typed:
            return pump.run()
        from sampan.cli.attach.terminal import RawTerminal

        with RawTerminal(0):
            ended = pump.run()
    if not ended:
        sys.stderr.write("read escape sequence\n")
    return ended


def _first_size(engine: Engine, target: str) -> None:
    """An exec that is only just starting refuses a size: up to ten times, ten milliseconds apart, as Docker tries."""
    for _ in range(10):
        if resize(engine, target):
            return
        import time

        time.sleep(0.01)


def resize(engine: Engine, target: str) -> bool:
    """Tell the daemon the window's size; False when it refuses (a program that has just ended does not care)."""
    from sampan.cli.attach.terminal import window_size

    rows, columns = window_size(1)
    if rows and columns:
        try:
            engine.order("POST", f"{target}/resize", {"h": str(rows), "w": str(columns)})
        except RefusedByDaemon:
            return False
    return True


def forward(engine: Engine, container: str, signal: str) -> None:
    """Send a signal that this process got to the container; one that has ended does not care."""
    try:
        engine.order("POST", f"/containers/{container}/kill", {"signal": signal})
    except RefusedByDaemon:
        pass


def checked_keys(keys: str) -> str:
    """`keys` if they can be read, else Exit."""
    if keys:
        from sampan.spec.detach_keys import parse

        try:
            parse(keys)
        except ValueError as error:
            raise Exit(1, f"invalid detach keys ({keys}): {error}") from error
    return keys


def exit_status(answer: Response) -> int:
    """The program's exit code, from the answer of a wait request. 125 when the daemon could not tell it."""
    from sampan.client.documents import document, number_of, object_of, text_of

    try:
        result = document(answer.read())
    finally:
        answer.wire.close()
    message = text_of(object_of(result, "Error"), "Message")
    if message:
        raise Exit(125, f"Error waiting for container: {message}")
    return number_of(result, "StatusCode")
